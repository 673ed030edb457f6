import type { BindAddress } from './bind.ts';
import type { Combined, Given } from './layers.ts';
import type { Option, OptionTable } from './table/row.ts';
import type { Options } from './table/table.ts';
import { UsageError } from './usageerror.ts';

/** Options that do nothing without one of others, and what is missing. */
const NEEDS: readonly (readonly [key: string, needed: string[], remedy: string])[] = [
  ['listing', ['static'], 'a folder to list: give --static PREFIX=DIR as well'],
  ['healthPath', ['health'], 'the option --health as well'],
  ['readyPath', ['health'], 'the option --health as well'],
  ['threadMode', ['threads'], 'threads: give --threads N as well'],
  ['workerTimeout', ['workers', 'threads'], 'workers: give --workers N or --threads N as well'],
  ['maxRequests', ['workers'], 'workers to replace: give --workers N as well'],
  ['maxRequestsJitter', ['maxRequests'], 'a number to vary: give --max-requests N as well'],
  ['maxRss', ['workers'], 'workers to replace: give --workers N as well'],
  ['maxAge', ['workers'], 'workers to replace: give --workers N as well'],
  ['preload', ['workers'], 'workers: give --workers N as well'],
  ['nodeOption', ['workers', 'reload'], 'workers: give --workers N as well'],
  ['reloadDir', ['reload'], 'the option --reload as well'],
  ['reloadIgnore', ['reload'], 'the option --reload as well'],
];

/** What does not go with threads, and what to do instead. */
const NOT_BY_THREADS: readonly (readonly [key: string, remedy: string])[] = [
  ['workers', 'give --workers N for processes, or --threads N for threads of one process'],
  ['reload', 'it serves by a process that is replaced; leave --threads out while you develop'],
  ['pollInterval', 'threads have nothing that is polled'],
];

const NO_PRIVILEGED_PORT =
  '--reuse-port does not go with --threads, --user and a port below 1024, which that user may not ' +
  'bind for each thread: leave --reuse-port out, or give a port from 1024 on';

const IN_PLACE_OF_THREADS = 'is for workers: give --workers N in place of --threads';

function hasThreads<Values>({ values }: Pick<Combined<Values>, 'values'>): boolean {
  const { threads = 0 } = values as { threads?: number };
  return threads > 0;
}

/** Whether an option has a value from anywhere but its default. */
export function isGiven(given: readonly Given[] | undefined): boolean {
  return given?.some(({ source }) => source !== 'default') ?? false;
}

function conflicts<Values>(
  table: OptionTable<Values>,
  { values, effective }: Combined<Values>,
): UsageError[] {
  if (!hasThreads({ values })) return [];
  return NOT_BY_THREADS.filter(([key]) => {
    const value = values[key as keyof Values] as unknown;
    return isGiven(effective.get(key)) && value !== 0 && value !== false;
  }).map(([key, remedy]) => {
    const { name } = table.options.find((option) => option.key === key) as Option;
    return new UsageError(`--${name} does not go with --threads: ${remedy}`);
  });
}

/** Each thread, and each that replaces one, makes its listener as the user that is asked for. */
function privilegedPorts(options: Partial<Options>): UsageError[] {
  const { threads = 0, threadMode, reusePort, user = null, bind = [] } = options;
  const isRoot = user === null || user === 'root' || Number(user) === 0;
  if (threads === 0 || threadMode === 'acceptor' || !reusePort || isRoot) return [];
  const isPrivileged = (address: BindAddress): boolean =>
    address.kind === 'inet' && address.port > 0 && address.port < 1024;
  return bind.some(isPrivileged) ? [new UsageError(NO_PRIVILEGED_PORT)] : [];
}

/**
 * The options that lack what they need. Where somebody has switched that off by `--workers 0` or
 * the like, nothing is said: what was meant for it may stand in a config module.
 */
export function missingNeeds<Values>(
  table: OptionTable<Values>,
  all: Combined<Values>,
): UsageError[] {
  const { values, effective } = all;
  const faults = [...conflicts(table, all), ...privilegedPorts(values as Partial<Options>)];
  for (const [key, needed, remedy] of NEEDS) {
    const given = effective.get(key);
    const isOff = values[key as keyof Values] === false;
    if (isOff || !isGiven(given) || needed.some((other) => isGiven(effective.get(other)))) continue;
    const { name } = table.options.find((option) => option.key === key) as Option;
    const source = given?.at(-1)?.source;
    const label = source === 'command line' ? `--${name}` : `${name} (${source})`;
    // Threads are not to be told to take workers as well.
    const forWorkers = hasThreads(all) && needed.includes('workers');
    const problem = forWorkers ? IN_PLACE_OF_THREADS : `needs ${remedy}`;
    faults.push(new UsageError(`${label} ${problem}`));
  }
  return faults;
}
