import type { runMeasured } from '../load/load.ts';
import type { RunningServer } from '../servers/index.ts';
import { cpuTime } from './processes.ts';
import type { Sample } from './summary.ts';

/** What `send` costs both ends, for each request. */
export async function takeSample(
  { pids }: RunningServer,
  send: () => ReturnType<typeof runMeasured>,
): Promise<Sample> {
  const before = cpuTime(pids);
  const { requests, seconds, cpu } = await send();
  const used = cpuTime(pids) - before;
  return { requests, seconds, serverCost: used / requests, loadCost: cpu / requests };
}
