import type { WorkerContext, WorkerParts } from '../supervisor/index.ts';
import { makeApplication } from './application.ts';
import { crashed, type LoadFailure, loadFailure } from './development/failing.ts';
import { makeParts, optionsOf, serve } from './worker.ts';

// The worker module under --reload: what does not load, or crashes, is shown until the next save.

export async function startWorker(context: WorkerContext): Promise<WorkerParts> {
  const options = optionsOf(context);
  const parts = makeParts(context);
  const { servers, logs } = parts;
  let hasCrashed = false;
  const show = ({ text, application }: LoadFailure): void => {
    logs.tell('error', text.trimEnd());
    for (const server of servers) server.setApp(application);
  };
  const crash = new Promise<never>((_, reject) => {
    onUncaught((error) => {
      hasCrashed = true;
      show(crashed(error));
      // Loading may wait forever for what has failed.
      reject(error);
    });
  });
  crash.catch(() => {});
  try {
    const application = await Promise.race([makeApplication(options), crash]);
    if (!hasCrashed) serve(context, servers, application);
  } catch (error) {
    if (!hasCrashed) show(loadFailure(error));
  }
  return parts;
}

/** An application that listens itself knows what to do. */
function onUncaught(act: (error: unknown) => void): void {
  process.on('uncaughtException', (error) => {
    if (process.listenerCount('uncaughtException') === 1) act(error);
  });
}
