import { staticFiles } from '../files/index.ts';
import { toMilliseconds } from '../milliseconds.ts';
import { type Application, demoApp, healthChecks } from '../wsgi/index.ts';
import { ApplicationError, loadApplication } from '../wsgi/loadapplication.ts';
import type { Options } from './table/table.ts';

/**
 * Loads the application, and fails when that never ends: nothing is left that it could wait for, or
 * so many seconds have passed.
 *
 * @throws (rejects) ApplicationError `ERR_RYEGATE_APPLICATION`
 */
export async function load(target: string, seconds: number = Infinity): Promise<Application> {
  let giveUp = (_why: string): void => {};
  const never = new Promise<never>((_, reject) => {
    giveUp = (why) => reject(neverLoaded(target, why));
  });
  const idle = (): void => giveUp('and waits for nothing');
  const late = (): void => giveUp(`even after ${seconds} seconds`);
  const timer = seconds === Infinity ? null : setTimeout(late, toMilliseconds(seconds));
  timer?.unref();
  process.once('beforeExit', idle);
  try {
    return await Promise.race([loadApplication(target, process.cwd()), never]);
  } finally {
    process.off('beforeExit', idle);
    if (timer !== null) clearTimeout(timer);
  }
}

function neverLoaded(target: string, why: string): ApplicationError {
  const problem = `${target} has not come to the end of its loading, ${why}`;
  return new ApplicationError(`${problem}; see what it awaits at its top level`);
}

/** The application with the folders before it. */
export async function makeApplication(
  options: Pick<Options, 'application' | 'static' | 'listing'>,
): Promise<Application> {
  const { application: target, listing } = options;
  let next: Application | undefined = options.static.length === 0 ? demoApp : undefined;
  if (target !== null) next = await load(target);
  // Each passes on what it does not find, so the first one is made last.
  for (const { prefix, folder } of options.static.toReversed()) {
    next = staticFiles(folder, { prefix, listing, next });
  }
  return next as Application;
}

/** It is not ready as soon as `service` drains. */
export function withHealth(
  application: Application,
  service: { readonly draining: boolean },
  { health, healthPath, readyPath }: Pick<Options, 'health' | 'healthPath' | 'readyPath'>,
): Application {
  if (!health) return application;
  return healthChecks(application, { live: healthPath, ready: readyPath, server: service });
}
