// Threads that come and go.
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../support/threadcycles.mjs', import.meta.url));
const THREADS = 500;
const LEAKED_MEGABYTES = 40;

export const manyThreads = {
  number: 30,
  title: `${THREADS} threads of pools that are started and stopped`,
  pass: `no descriptor more than after a third of them, at most ${LEAKED_MEGABYTES} MB`,
  seconds: 180,
  async run(arena) {
    const args = ['--expose-gc', script, arena.selector, `${THREADS}`];
    const program = arena.run(process.execPath, args, { stderr: 'inherit' });
    const { threads, descriptors, megabytes } = await program.next(170_000);
    return [
      [`${threads} threads`, threads >= THREADS],
      [`${descriptors} descriptors more`, descriptors === 0],
      [`${megabytes} MB more`, megabytes <= LEAKED_MEGABYTES],
    ];
  },
};
