import type { HTTPServerStats } from '../httpserver/index.ts';
import { sumStats } from './poolcounters.ts';
import type { PoolThread, ThreadState } from './poolthread.ts';

export interface ThreadStats {
  /** As `threadId` of `node:worker_threads`. */
  threadId: number;
  state: ThreadState;
  /** Open connections. */
  connections: number;
  /** Connections so far. */
  accepted: number;
  /** Since it was started. */
  seconds: number;
  /** `stats()` of its server, as of a second ago at most; of a blocked one, as it was before. */
  server: HTTPServerStats;
}

/** What a thread pool counts. */
export interface PoolStats {
  min: number;
  max: number;
  /** Threads that serve or are about to; those of them that have no connection. */
  size: number;
  idle: number;
  /** Acceptor mode: connections that wait for a thread; that were answered 503 so far. */
  queued: number;
  refused: number;
  /** Threads that hung or failed and were replaced, so far. */
  replaced: number;
  /** Open connections. */
  connections: number;
  /** `stats()` of all servers together, of those as well whose threads have ended. */
  server: HTTPServerStats;
  threads: ThreadStats[];
}

/** How the threads of a pool ended. */
export interface PoolSummary {
  /** Threads that finished what they had begun. */
  drained: number;
  /** Threads that were ended by force, since their time was up. */
  terminated: number;
  /** Threads that failed meanwhile. */
  failed: number;
  /** Connections that were served to their end, and that were broken off. */
  finished: number;
  aborted: number;
  /** How long it took. */
  seconds: number;
}

type Counted = Pick<PoolStats, 'min' | 'max' | 'queued' | 'refused' | 'replaced'>;

/** `past`: what threads have counted that have ended. */
export function poolStats(
  all: readonly PoolThread[],
  past: HTTPServerStats,
  counted: Counted,
): PoolStats {
  const now = performance.now();
  const threads = all.map(({ threadId, state, board, begun }) => ({
    threadId,
    state,
    connections: board.connections,
    accepted: board.accepted,
    seconds: (now - begun) / 1000,
    server: board.stats,
  }));
  return {
    ...counted,
    size: all.filter(({ state }) => state === 'starting' || state === 'serving').length,
    idle: all.filter(({ idle }) => idle).length,
    connections: threads.reduce((sum, { connections }) => sum + connections, 0),
    server: sumStats([past, ...threads.map(({ server }) => server)]),
    threads,
  };
}
