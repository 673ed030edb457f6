import { faultText } from '../supervisor/faultlog.ts';
import { Notifier, PidFile, Reaper, ThreadPool, Watchdog } from '../supervisor/index.ts';
import { type Logs, openLogs } from './logs.ts';
import type { Plan } from './plan.ts';
import { type ListeningAddress, serverAddress, serverOptions } from './servers.ts';
import { announce, becomeUser, removeAtExit, statusAfter } from './service.ts';
import { handleSignals } from './signals.ts';
import { STATUS } from './status.ts';
import type { Options } from './table/table.ts';

function makePool(address: ListeningAddress, options: Options, logs: Logs): ThreadPool {
  return new ThreadPool(serverAddress(address), {
    threadModule: new URL('thread.js', import.meta.url).href,
    threadData: options,
    min: options.threads,
    mode: options.threadMode,
    timeout: options.workerTimeout || null,
    closeTimeout: options.gracefulTimeout,
    server: { ...serverOptions(options), fd: address.kind === 'fd' ? address.fd : null },
    logError: (error) => logs.tell('error', faultText(error)),
  });
}

/** Serves by the threads of this process until a signal ends it; gives the exit status. */
export async function serveByThreads(plan: Plan): Promise<number> {
  const { options } = plan;
  const notifier = new Notifier(process.env, { unset: true });
  // Before threads get a copy of the environment.
  const watchdog = new Watchdog(notifier, { unset: true });
  const logs = openLogs(options);
  const pools: ThreadPool[] = [];
  const reopen = (): void => {
    logs.reopen();
    for (const pool of pools) pool.reopenLogs();
  };
  let isEnding = false;
  const ended = new Promise<void>((resolve) => {
    handleSignals(options, { ...logs, reopen }, (ending) => {
      isEnding = true;
      notifier.stopping();
      for (const pool of pools) pool.drain(ending);
      resolve();
    });
  });
  const pidFile = options.pidFile === null ? null : new PidFile(options.pidFile);
  try {
    for (const address of plan.addresses) pools.push(makePool(address, options, logs));
    pidFile?.create();
    const addresses = pools.map((pool) => pool.serverAddress);
    becomeUser(options, addresses);
    removeAtExit(plan.addresses, pidFile);
    // Where this is process 1 of a container; elsewhere it does nothing.
    new Reaper().start();
    await Promise.all(pools.map((pool) => pool.start()));
    announce(addresses, `${options.threads} threads`, { options, logs, notifier });
    watchdog.start();
    await ended;
    return statusAfter(await Promise.all(pools.map((pool) => pool.drain())), logs);
  } catch (error) {
    if (!isEnding) throw error;
    return STATUS.stopped;
  } finally {
    await Promise.all(pools.map((pool) => pool.stop()));
    pidFile?.unlink();
    await logs.close();
  }
}
