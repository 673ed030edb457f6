import { RyegateError } from '../errors.ts';
import type { ResolvedSettings } from './settings.ts';
import { type WorkerEnding, type WorkerOwner, WorkerProcess } from './workerprocess.ts';

/** Milliseconds between two looks whether the process is hung. */
const LOOK_EVERY = 500;

/**
 * Loads the application in a process of its own, which ends afterwards: Node cannot fork, so that
 * workers cannot have what their parent has loaded, but a broken application is found before any
 * worker is replaced. The process is killed when `signal` is aborted.
 *
 * @throws (rejects) RyegateError `ERR_RYEGATE_WORKER_BOOT` with what the process said
 */
export function checkApplication(
  settings: ResolvedSettings,
  { workerWrote }: Pick<WorkerOwner, 'workerWrote'>,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const owner: WorkerOwner = {
      workerReady: () => {},
      workerRetires: () => {},
      workerDrains: () => {},
      workerWrote,
      workerEnded: ({ served }, ending) => {
        clearInterval(looking);
        signal.removeEventListener('abort', kill);
        if (served) resolve();
        else reject(refusal(ending));
      },
    };
    const worker = new WorkerProcess(owner, { settings, listeners: [], check: true });
    const kill = (): void => worker.kill();
    signal.addEventListener('abort', kill);
    if (signal.aborted) kill();
    const looking = setInterval(() => {
      if (worker.age > worker.timeout) worker.abort();
    }, LOOK_EVERY);
  });
}

function refusal({ code, signal, failure, hung, lastLines }: WorkerEnding): RyegateError {
  const how = signal === null ? `ended with status ${code}` : `was ended by ${signal}`;
  const why = hung ? 'the process that loads it is hung' : `the process that loads it ${how}`;
  const words = lastLines.length === 0 ? '' : `: ${lastLines.join('\n  ')}`;
  return new RyegateError(
    'ERR_RYEGATE_WORKER_BOOT',
    `no worker can start: ${failure ?? `${why}${words}`}`,
  );
}
