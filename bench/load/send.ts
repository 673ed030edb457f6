import { LARGE } from '../harness/testfiles.ts';
import type { Workload } from '../harness/workload.ts';
import type { RunningServer } from '../servers/index.ts';
import type { Task } from '../workloads.ts';
import { blast } from './blast.ts';
import { drain } from './drain.ts';
import { type LoadResult, runMeasured } from './load.ts';

export function isLarge({ file }: Task): boolean {
  return file !== null && file.bytes >= LARGE;
}

/** The name of the load generator for a task. */
export function loadOf(task: Task): string {
  return isLarge(task) ? drain.name : blast.name;
}

/** Sends the requests of a workload for so many seconds: the task's own, or a variant of it. */
export function sendMeasured(
  { file }: Task,
  server: RunningServer,
  workload: Workload,
  seconds: number,
): Promise<LoadResult & { readonly cpu: number }> {
  if (file !== null && file.bytes >= LARGE) {
    const { connections } = workload;
    return runMeasured(drain, { server, file, connections, seconds });
  }
  return runMeasured(blast, { server, workload, seconds });
}
