import type { Context } from '../../bench/harness/context.ts';
import { Progress } from '../../bench/harness/progress.ts';
import { parseSettings } from '../../bench/harness/settings.ts';

/** Of a run with these arguments, which shows no progress. */
export function quietContext(...args: string[]): Context {
  const progress = new Progress({ write: () => {} });
  return { settings: parseSettings(args), progress, failures: [] };
}
