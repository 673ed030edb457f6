import { endedChildrenTime } from '../harness/processes.ts';
import type { TestFile } from '../harness/testfiles.ts';
import type { Workload } from '../harness/workload.ts';
import type { RunningServer } from '../servers/index.ts';

/** What one run of a load generator did. */
export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
}

/** A load of requests for a file. */
export interface LoadSettings {
  readonly server: RunningServer;
  readonly file: TestFile;
  readonly connections: number;
  readonly seconds: number;
}

export interface WorkloadSettings {
  readonly server: RunningServer;
  readonly workload: Workload;
  readonly seconds: number;
}

/** A load generator. Fails when an answer is not as expected. */
export interface Load<Settings = LoadSettings> {
  readonly name: string;
  /** Makes it ready. Fails when something is not installed. */
  prepare(): void;
  run(settings: Settings): Promise<LoadResult>;
}

/** Runs a load and adds its own CPU time, in microseconds. No other child may end meanwhile. */
export async function runMeasured<Settings>(
  load: Load<Settings>,
  settings: Settings,
): Promise<LoadResult & { readonly cpu: number }> {
  const before = endedChildrenTime();
  const result = await load.run(settings);
  return { ...result, cpu: endedChildrenTime() - before };
}
