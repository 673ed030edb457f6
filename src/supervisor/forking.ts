import { availableParallelism } from 'node:os';
import { checkFlags, checkOption, isWhole } from '../options.ts';
import type { SupervisorSettings } from './settings.ts';

/** Settings of `socketserver.ForkingMixIn`, beside those of a supervisor that do not follow from them. */
export interface ForkingSettings
  extends Omit<SupervisorSettings, 'workers' | 'timeout' | 'gracefulTimeout'> {
  /** Processes at most. Default 40; there are no more than processors, however. */
  maxChildren?: number | undefined;
  /** Seconds after which a process that is at work without a pause is killed. Default 300. */
  timeout?: number | undefined;
  /** Whether the end waits for requests that are being answered, 30 seconds at most. Default true. */
  blockOnClose?: boolean | undefined;
}

/**
 * The settings of a `Supervisor` that comes nearest to `socketserver.ForkingMixIn`. Node cannot
 * fork: the processes are there from the start, and each serves many clients.
 *
 * @throws RyegateError `ERR_RYEGATE_OPTION`
 */
export function forking(settings: ForkingSettings): SupervisorSettings {
  const { maxChildren = 40, timeout = 300, blockOnClose = true, ...others } = settings;
  const isCount = (value: number): boolean => isWhole(value, 1, 1024);
  checkOption('maxChildren', maxChildren, isCount, 'a number of processes from 1 to 1024');
  checkFlags(settings, ['blockOnClose']);
  const workers = Math.min(maxChildren, availableParallelism());
  return { ...others, workers, timeout, gracefulTimeout: blockOnClose ? 30 : 0 };
}
