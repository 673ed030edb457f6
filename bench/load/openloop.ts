import { BenchError } from '../harness/processes.ts';
import type { LatencySample } from '../harness/results.ts';
import type { Workload } from '../harness/workload.ts';
import type { RunningServer } from '../servers/index.ts';
import { generate } from './generator.ts';

/** So long the schedule is followed before anything is counted. */
const WARMUP_SECONDS = 1;

export interface OpenLoopSettings {
  readonly server: RunningServer;
  /** One that keeps its connections; how many and how many requests together is not asked of it. */
  readonly workload: Workload;
  /** Requests a second. */
  readonly rate: number;
  readonly seconds: number;
  /** As many requests can be under way at a time. */
  readonly connections: number;
}

/** What one run at a fixed rate found. */
export interface Latency extends LatencySample {
  readonly requests: number;
}

/** The latencies at a fixed rate, by the client of openloop.c. It keeps its processor busy. */
export async function openLoop(settings: OpenLoopSettings): Promise<Latency> {
  const { server, workload, rate, seconds, connections } = settings;
  if (workload.close)
    throw new BenchError(`${workload.name}: at a fixed rate connections are kept`);
  const options = ['-c', `${connections}`, '-r', `${rate}`, '-d', `${seconds}`];
  const args = [...options, '-w', `${WARMUP_SECONDS}`, `${server.port}`];
  return await generate<Latency>('openloop', args, workload.request);
}
