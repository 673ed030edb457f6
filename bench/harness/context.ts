import { BenchError } from './processes.ts';
import type { Progress } from './progress.ts';
import type { Failure } from './results.ts';
import { interleave } from './rounds.ts';
import type { Settings } from './settings.ts';

/** What all parts of a run share. */
export interface Context {
  readonly settings: Settings;
  readonly progress: Progress;
  readonly failures: Failure[];
}

/** What is wrong with one server and not with the bench. */
function isServersFault(error: unknown): error is Error {
  return error instanceof BenchError || (error instanceof Error && 'syscall' in error);
}

/**
 * What `action` gives. Null when it fails: that is said and noted, and the run goes on without this
 * server, since a whole run is too long to be thrown away for one.
 */
export async function attempt<Result>(
  { progress, failures }: Context,
  server: string,
  load: string,
  action: () => Promise<Result>,
): Promise<Result | null> {
  try {
    return await action();
  } catch (error) {
    if (!isServersFault(error)) throw error;
    const reason = error.message.trim();
    failures.push({ server, load, reason });
    progress.clear();
    console.log(`LEFT OUT ${server} of ${load}: ${reason}`);
    return null;
  }
}

/**
 * The samples of those that never failed, by name, in interleaved rounds. After a failure the
 * others go on without the one that failed.
 */
export async function attemptRounds<Entrant extends { readonly name: string }, Sample>(
  context: Context,
  load: string,
  entrants: readonly Entrant[],
  rounds: number,
  sample: (entrant: Entrant, round: number) => Promise<Sample>,
): Promise<Record<string, Sample[]>> {
  const failed = new Set<Entrant>();
  const found = await interleave(entrants, rounds, async (entrant, round) => {
    if (failed.has(entrant)) return null;
    const result = await attempt(context, entrant.name, load, () => sample(entrant, round));
    if (result === null) failed.add(entrant);
    return result;
  });
  const whole = [...found].filter(([entrant]) => !failed.has(entrant));
  return Object.fromEntries(whole.map(([{ name }, samples]) => [name, samples as Sample[]]));
}
