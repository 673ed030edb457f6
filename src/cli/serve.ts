import type { ServerAddress } from '../socketserver/index.ts';
import { Notifier, PidFile, Reaper, Watchdog } from '../supervisor/index.ts';
import type { WSGIServer } from '../wsgi/index.ts';
import { makeApplication, withHealth } from './application.ts';
import { type Logs, openLogs } from './logs.ts';
import type { Plan } from './plan.ts';
import { makeServers } from './servers.ts';
import { announce, becomeUser, removeAtExit, statusAfter } from './service.ts';
import { handleSignals } from './signals.ts';
import { STATUS } from './status.ts';
import type { Options } from './table/table.ts';

/** Serves in this process until a signal ends it; gives the exit status. */
export async function serve({ options, addresses }: Plan): Promise<number> {
  const notifier = new Notifier(process.env, { unset: true });
  const logs = openLogs(options);
  let serving = false;
  const servers: WSGIServer[] = [];
  const ended = new Promise<null>((resolve) => {
    handleSignals(options, logs, (ending) => {
      notifier.stopping();
      if (serving) for (const server of servers) server.drain(ending);
      resolve(null);
    });
  });
  servers.push(...(await makeServers(addresses, options, logs)));
  const pidFile = options.pidFile === null ? null : new PidFile(options.pidFile);
  try {
    pidFile?.create();
    becomeUser(options, addressesOf(servers));
    removeAtExit(addresses, pidFile);
    const loaded = await Promise.race([makeApplication(options), ended]);
    if (loaded === null) return STATUS.stopped;
    const service = {
      get draining(): boolean {
        return servers.some(({ draining }) => draining);
      },
    };
    const application = withHealth(loaded, service, options);
    for (const server of servers) server.setApp(application);
    serving = true;
    return await run(servers, options, logs, notifier);
  } finally {
    await Promise.all(servers.map((server) => server.serverClose()));
    pidFile?.unlink();
    await logs.close();
  }
}

async function run(
  servers: readonly WSGIServer[],
  options: Options,
  logs: Logs,
  notifier: Notifier,
): Promise<number> {
  const watchdog = new Watchdog(notifier, { servers, unset: true });
  // Where this is process 1 of a container; elsewhere it does nothing.
  new Reaper().start();
  const serving = servers.map((server) => server.serveForever(options.pollInterval));
  const hint = servers[0]?.selectorName ?? '';
  announce(addressesOf(servers), hint, { options, logs, notifier });
  watchdog.start();
  await Promise.all(serving);
  return statusAfter(await Promise.all(servers.map((server) => server.drain())), logs);
}

function addressesOf(servers: readonly WSGIServer[]): ServerAddress[] {
  return servers.map(({ serverAddress }) => serverAddress);
}
