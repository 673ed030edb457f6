import {
  Notifier,
  Reaper,
  Supervisor,
  type SupervisorSettings,
  Watchdog,
} from '../supervisor/index.ts';
import { isDescriptor } from '../supervisor/settings.ts';
import { isDevelopment, warnOfDevelopment } from './development/warnings.ts';
import { openLogs } from './logs.ts';
import { bindAddress, type Plan } from './plan.ts';
import { serverOptions } from './servers.ts';
import type { Sources } from './settings.ts';

export function settingsOf({ options, addresses }: Plan): SupervisorSettings {
  return {
    bind: addresses.map(bindAddress),
    workers: options.workers,
    server: serverOptions(options),
    timeout: options.workerTimeout,
    gracefulTimeout: options.gracefulTimeout,
    drainDelay: options.drainDelay,
    maxRequests: options.maxRequests,
    maxRequestsJitter: options.maxRequestsJitter,
    maxRss: options.maxRss,
    maxAge: options.maxAge,
    preload: options.preload,
    pidfile: options.pidFile ?? undefined,
    user: options.user ?? undefined,
    group: options.group ?? undefined,
    cwd: process.cwd(),
    env: options.env,
    nodeOptions: options.nodeOption,
    workerModule: new URL('worker.js', import.meta.url).href,
    workerData: options,
  };
}

/** For SIGHUP. */
export interface Replanning {
  /** Reads the options anew, and changes the process as they say. Faulty ones change nothing. */
  again(): Promise<Plan>;
  /** Takes back what the last one has changed. */
  revert(): void;
}

/** Serves by worker processes until a signal ends it; gives the exit status. */
export async function supervise(
  plan: Plan,
  { folder, env }: Pick<Sources, 'folder' | 'env'>,
  replanning: Replanning,
): Promise<number> {
  const logs = openLogs(plan.options);
  const notifier = new Notifier(process.env, { unset: true });
  const watchdog = new Watchdog(notifier, { unset: true });
  const supervisor = new Supervisor(settingsOf(plan), {
    reload: async () => settingsOf(await replanning.again()),
    revert: () => replanning.revert(),
    log: (level, text) => logs.tell(level, text),
    notifier,
    watchdog,
    folder,
    env,
    reopenLogs: () => logs.reopen(),
  });
  if (isDevelopment(plan.options)) {
    const addresses = plan.addresses.map(bindAddress);
    const known = addresses.flatMap((address) => (isDescriptor(address) ? [] : [address]));
    warnOfDevelopment(known, logs);
  }
  // Where this is process 1 of a container; elsewhere it does nothing.
  new Reaper().start();
  watchdog.start();
  try {
    return await supervisor.run();
  } finally {
    await logs.close();
  }
}
