import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, processTree } from '../harness/processes.ts';
import type { Route } from '../harness/workload.ts';

/** A server that is running. */
export interface RunningServer {
  readonly origin: string;
  readonly port: number;
  /** All its processes; what they use counts as the server's. */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

export const ALL_ROUTES: ReadonlySet<Route> = new Set<Route>([
  'hello',
  'echo',
  'chunked',
  'promise',
  'timer',
  'file',
]);

/** For programs that run on npm's servers. */
export const PRODUCTION: Readonly<Record<string, string>> = { NODE_ENV: 'production' };

/** A server that can be measured. */
export interface Peer {
  readonly name: string;
  /** What runs and how, for the head of the table. */
  readonly description: string;
  readonly routes: ReadonlySet<Route>;
  /** Why it cannot run here and what to do about it; null when it can. */
  missing(): string | null;
  /** Its program's version. */
  version(): string;
  /** Serves its routes, and the files of the folder `root`, on a free port of 127.0.0.1. */
  start(root: string): Promise<RunningServer>;
}

/** The server in a process that listens already. */
export async function runningServer(child: Child, port: number): Promise<RunningServer> {
  // nginx starts its worker a moment after it has begun to listen.
  await sleep(100);
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    pids: processTree(child.pid),
    stop: () => child.stop(),
  };
}

/** The server in a process that prints `listening on PORT`. */
export async function announcedServer(child: Child): Promise<RunningServer> {
  const [, port] = await child.says(/listening on (\d+)/);
  return await runningServer(child, Number(port));
}
