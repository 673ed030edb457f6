import type { WorkerContext, WorkerParts } from '../supervisor/index.ts';
import type { Application, WSGIServer } from '../wsgi/index.ts';
import { makeApplication, withHealth } from './application.ts';
import { type Logs, openLogs } from './logs.ts';
import { makeServer } from './servers.ts';
import type { Options } from './table/table.ts';

// The worker module of the command line: serves what the options ask for, in a worker process.

export function checkWorker(context: WorkerContext): Promise<Application> {
  return makeApplication(optionsOf(context));
}

export async function startWorker(context: WorkerContext): Promise<WorkerParts> {
  const parts = makeParts(context);
  serve(context, parts.servers, await makeApplication(optionsOf(context)));
  return parts;
}

export function optionsOf({ settings }: WorkerContext): Options {
  return settings.workerData as Options;
}

export interface CommandParts extends WorkerParts {
  readonly servers: readonly WSGIServer[];
  readonly logs: Logs;
}

/** Servers whose application is still to be set. */
export function makeParts(context: WorkerContext): CommandParts {
  const options = optionsOf(context);
  const logs = openLogs(options);
  const servers = context.listeners.map(({ fd }) => makeServer({ kind: 'fd', fd }, options, logs));
  return { servers, logs, reopenLogs: () => logs.reopen(), close: () => logs.close() };
}

export function serve(
  context: WorkerContext,
  servers: readonly WSGIServer[],
  application: Application,
): void {
  const service = {
    get draining(): boolean {
      return context.ending;
    },
  };
  const all = withHealth(context.counted(application), service, optionsOf(context));
  for (const server of servers) server.setApp(all);
}
