import { fileURLToPath } from 'node:url';
import { afterEach } from 'vitest';
import type { PoolStats, RyegateError, ThreadPool, ThreadPoolOptions } from '../../src/index.ts';
import { dist, eventually, requireDist } from './servers.ts';

export const application: string = fileURLToPath(new URL('poolapp.mjs', import.meta.url));

/** The ways in which threads get their connections. */
export const ways: readonly (readonly [string, Partial<ThreadPoolOptions>])[] = [
  ['a shared listener', {}],
  ['a listener each', { server: { allowReusePort: true } }],
  ['an acceptor', { mode: 'acceptor' }],
  ['a shared listener, blocking', { blocking: true }],
  ['an acceptor, blocking', { mode: 'acceptor', blocking: true }],
];

/** A pool and what it has logged. */
export interface TestPool {
  readonly pool: ThreadPool;
  readonly logged: RyegateError[];
}

export type MakePool = (options?: Partial<ThreadPoolOptions>, path?: string) => Promise<TestPool>;

/**
 * A function that makes pools of the compiled package, on a port of the system's choice or at a
 * path; they are stopped after each test.
 */
export function poolKeeper(): MakePool {
  const open: ThreadPool[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((pool) => pool.stop(0)));
  });
  return async (options = {}, path) => {
    requireDist();
    const ryegate = (await import(dist)) as typeof import('../../src/index.ts');
    const logged: RyegateError[] = [];
    const logError = (error: RyegateError): void => {
      logged.push(error);
    };
    const address = path ?? (['127.0.0.1', 0] as const);
    // What vitest tells its own process is not for the threads.
    const settings = { application, execArgv: [], logError, ...options };
    const pool = new ryegate.ThreadPool(address, settings);
    open.push(pool);
    return { pool, logged };
  };
}

/** The same, started. */
export function startedPools(): MakePool {
  const make = poolKeeper();
  return async (options, path) => {
    const made = await make(options, path);
    await made.pool.start();
    return made;
  };
}

/** Waits until what the pool counts fits. */
export function untilStats(
  pool: ThreadPool,
  fits: (stats: PoolStats) => boolean,
  what: string,
): Promise<void> {
  return eventually(() => fits(pool.stats()), what);
}

/** Waits until so many threads serve. */
export function untilServing(pool: ThreadPool, count: number): Promise<void> {
  const serving = ({ threads }: PoolStats): number =>
    threads.filter(({ state }) => state === 'serving').length;
  return untilStats(pool, (stats) => serving(stats) === count, `${count} threads serve`);
}
