import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach } from 'vitest';
import type {
  PoolStats,
  PoolSummary,
  RyegateError,
  ThreadPool,
  ThreadPoolOptions,
} from '../../src/index.ts';
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

/** Pages of the application that are held: they block their thread, use the processor, or do neither. */
export type HeldPage = '/blocking' | '/working' | '/waiting' | '/native';

/** A request that tells when it is being handled. */
export class MarkedRequest {
  readonly path: string;
  readonly #file: string;

  constructor(page: string, file: string) {
    this.path = `${page}?${file}`;
    this.#file = file;
  }

  /** Resolves when it is being handled. */
  begun(): Promise<void> {
    return eventually(() => existsSync(`${this.#file}.begun`), `${this.path} is handled`);
  }

  /** Has a page that is held answer. */
  release(): void {
    writeFileSync(this.#file, '');
  }
}

/** A function that makes requests for one page each. */
export function requestMarker(): (page: HeldPage | '/spin') => MarkedRequest {
  const folder = mkdtempSync(join(tmpdir(), 'ryegate-requests-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  let count = 0;
  return (page) => new MarkedRequest(page, join(folder, `${count++}`));
}

/**
 * What `stop` resolves with, once it has terminated so many threads: one that got no processor for
 * 0.4 seconds is terminated as one that is blocked, so that it is tried again, four times at most.
 */
export async function terminating(
  count: number,
  stop: () => Promise<PoolSummary>,
): Promise<PoolSummary> {
  let summary = await stop();
  for (let i = 0; i < 4 && summary.terminated !== count; i++) summary = await stop();
  return summary;
}
