// The applications of bench/threads.ts, which every thread of a pool loads for itself.
import type { Application } from '../../dist/index.js';

export const hello: Application = (_environ, startResponse) => {
  startResponse('200 OK', [
    ['Content-Type', 'text/plain'],
    ['Content-Length', '13'],
  ]);
  return ['Hello, World!'];
};

/** The clock would run on while others have the processor, so work is so many rounds. */
export function work(rounds: number): number {
  let value = 1;
  for (let i = 0; i < rounds; i++) value = (value * 1_664_525 + 1_013_904_223) >>> 0;
  return value;
}

const rounds = Number(process.env.RYEGATE_BENCH_ROUNDS);

export const cpu: Application = (environ, startResponse) => {
  work(rounds);
  return hello(environ, startResponse);
};
