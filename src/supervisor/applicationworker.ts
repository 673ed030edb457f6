import { WSGIRequestHandler, WSGIServer } from '../wsgi/index.ts';
import { loadApplication } from '../wsgi/loadapplication.ts';
import type { Application } from '../wsgi/types.ts';
import type { WorkerContext, WorkerParts } from './workermodule.ts';

// The worker module of those who name none: serves the application by a WSGIServer on each address.

export function checkWorker({ settings }: WorkerContext): Promise<Application> {
  return loadApplication(settings.application ?? '', settings.cwd);
}

export async function startWorker(context: WorkerContext): Promise<WorkerParts> {
  const application = context.counted(await checkWorker(context));
  const servers = context.listeners.map(({ fd, address }) => {
    const server = new WSGIServer(address, WSGIRequestHandler, {
      ...context.settings.server,
      fd,
    });
    server.setApp(application);
    return server;
  });
  return { servers };
}
