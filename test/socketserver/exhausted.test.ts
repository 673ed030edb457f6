import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.ts';
import { programStarter } from '../support/programs.ts';
import { dist, requireDist } from '../support/servers.ts';

/** Few enough that the process can use them all up. */
const LIMIT = 100;

/**
 * Leaves fewer and fewer descriptors free and tries to make a server each time. Tells the outcomes,
 * and how many descriptors were open before and afterwards.
 */
const SCRIPT = `
  import { closeSync, openSync, readdirSync } from 'node:fs';
  const { makeServer } = await import(process.argv[1]);
  const selector = process.argv[2];
  const app = (environ, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return [];
  };
  const attempt = async () => {
    let server;
    try {
      server = makeServer('127.0.0.1', 0, app, { selector });
    } catch (error) {
      return [error.name, error.code, error.systemCode].join(' ');
    }
    await server.serverClose();
    return 'made';
  };
  const outcomes = [];
  outcomes.push(await attempt());
  const count = () => readdirSync('/proc/self/fd').length;
  const before = count();
  const fillers = [];
  try {
    for (let i = 0; i < ${LIMIT}; i++) fillers.push(openSync('/dev/null'));
  } catch {}
  for (let free = 0; free < 6; free++) {
    for (let time = 0; time < 3; time++) outcomes.push(await attempt());
    closeSync(fillers.pop());
  }
  for (const fd of fillers) closeSync(fd);
  outcomes.push(await attempt());
  console.log(JSON.stringify({ outcomes, before, after: count() }));
`;

const start = programStarter();

describeBackends('without descriptors', (selector) => {
  it('making a server fails by the error of the system, and leaks nothing', async () => {
    requireDist();
    const program = start(
      'bash',
      [
        '-c',
        `ulimit -n ${LIMIT}; exec "$0" "$@"`,
        process.execPath,
        '--input-type=module',
        '--eval',
        SCRIPT,
        dist,
        selector,
      ],
      { env: process.env },
    );
    expect(await program.exit).toEqual([0, null]);
    const { outcomes, before, after } = JSON.parse(program.stdout);
    const refused = 'SystemCallError ERR_RYEGATE_SYSTEM EMFILE';
    expect(outcomes[0]).toBe('made');
    // None is free at first, and one does not suffice.
    expect(outcomes.slice(1, 7)).toEqual(Array(6).fill(refused));
    expect(new Set(outcomes)).toEqual(new Set(['made', refused]));
    expect(outcomes.at(-1)).toBe('made');
    expect(after).toBe(before);
  });
});
