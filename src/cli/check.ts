import { RyegateError } from '../errors.ts';
import { staticFiles } from '../files/index.ts';
import { listenDescriptors } from '../supervisor/index.ts';
import { demoApp, type WSGIServer } from '../wsgi/index.ts';
import { load, withHealth } from './application.ts';
import { openLogs } from './logs.ts';
import { listeningAddresses, makeServer } from './servers.ts';
import type { Options } from './table/table.ts';

/**
 * Does what a start does beyond its options: loads the application, opens the folders and binds the
 * addresses, which are closed again. Gives every fault.
 */
export async function checkStart(
  options: Options,
  isDefaultBind: boolean,
): Promise<RyegateError[]> {
  const { application, static: folders, listing } = options;
  const faults: RyegateError[] = [];
  const attempt = async (step: () => unknown): Promise<void> => {
    try {
      await step();
    } catch (error) {
      if (!(error instanceof RyegateError)) throw error;
      faults.push(error);
    }
  };
  const seconds = options.workerTimeout || Infinity;
  if (application !== null) await attempt(() => load(application, seconds));
  for (const { prefix, folder } of folders) {
    await attempt(() => staticFiles(folder, { prefix, listing, next: demoApp }));
  }
  // Its paths may not go together.
  await attempt(() => withHealth(demoApp, { draining: false }, options));
  // All at once, so that one address that is given twice is found.
  const servers: WSGIServer[] = [];
  const logs = openLogs({ ...options, accessLog: null, accessLogFormat: null, errorLog: null });
  await attempt(async () => {
    const passed = listenDescriptors();
    for (const address of listeningAddresses(options.bind, isDefaultBind, passed)) {
      await attempt(() => servers.push(makeServer(address, options, logs)));
    }
  });
  for (const server of servers) await server.serverClose();
  return faults;
}
