import { RyegateError, showValue } from '../errors.ts';
import { toMilliseconds } from '../milliseconds.ts';
import { checkNames, checkOption } from '../options.ts';
import { isThenable } from '../thenable.ts';
import type { Application, ApplicationResult, StartResponse } from './types.ts';

/** What readiness knows of a server, or of whatever else drains. */
export interface Drainable {
  /** Whether it is on its way down, and wants no more clients. */
  readonly draining: boolean;
}

/** Whether something that the application needs is there: false or a failure is a no. */
export type HealthCheck = () => boolean | Promise<boolean>;

export interface HealthOptions {
  /** The path of the liveness check; null has none. Default `/healthz`. */
  live?: string | null | undefined;
  /** The path of the readiness check; null has none. Default `/readyz`. */
  ready?: string | null | undefined;
  /** Not ready from the time on that it drains. */
  server?: Drainable | undefined;
  /** Not ready while one of them says no; by the names that the answer tells. */
  checks?: Readonly<Record<string, HealthCheck>> | undefined;
  /** Seconds that the checks may take before those that have not answered count as a no. Default 5. */
  checkTimeout?: number | undefined;
}

const OPTIONS: Readonly<Record<keyof HealthOptions, true>> = {
  live: true,
  ready: true,
  server: true,
  checks: true,
  checkTimeout: true,
};

/** Why it is not ready: nothing when it is. */
type Verdict = readonly string[];

/**
 * `application` with endpoints for a load balancer or Kubernetes. GET and HEAD of the path `live`
 * are answered with 200 as long as the loop turns; of the path `ready` with 200, or with 503 from
 * the time on that `server` drains, and while a check says no. Everything else goes to the
 * application.
 *
 * Probes that come while checks are under way are answered by these.
 *
 * @throws RyegateError `ERR_RYEGATE_OPTION` for options that make no sense, `ERR_RYEGATE_APPLICATION`
 *   for an application that is no function
 */
export function healthChecks(application: Application, options: HealthOptions = {}): Application {
  checkHealthOptions(application, options);
  const { live = '/healthz', ready = '/readyz', server } = options;
  const ask = sharedChecks(options.checks ?? {}, options.checkTimeout ?? 5);
  const unlessDraining = (verdict: Verdict): Verdict => (server?.draining ? ['draining'] : verdict);
  const checked: Application = (environ, startResponse) => {
    const { REQUEST_METHOD: method, PATH_INFO: path } = environ;
    const probes = (path === live || path === ready) && (method === 'GET' || method === 'HEAD');
    // Below a prefix it is another's path.
    if (!probes || environ.SCRIPT_NAME !== '') return application(environ, startResponse);
    if (path === live) return answer([], startResponse);
    const tell = (verdict: Verdict): ApplicationResult =>
      answer(unlessDraining(verdict), startResponse);
    const verdict = server?.draining ? [] : ask();
    return isThenable(verdict) ? verdict.then(tell) : tell(verdict);
  };
  if (application.usesSignal !== undefined) checked.usesSignal = application.usesSignal;
  return checked;
}

function answer(verdict: Verdict, startResponse: StartResponse): ApplicationResult {
  const isReady = verdict.length === 0;
  startResponse(isReady ? '200 OK' : '503 Service Unavailable', [
    ['Content-Type', 'text/plain; charset=utf-8'],
    ['Cache-Control', 'no-store'],
  ]);
  return isReady ? 'ok\n' : verdict.map((reason) => `${reason}\n`).join('');
}

/** One run of the checks at a time. At once where none of them is async. */
function sharedChecks(
  checks: Readonly<Record<string, HealthCheck>>,
  seconds: number,
): () => Verdict | Promise<Verdict> {
  let running: Promise<Verdict> | null = null;
  return () => {
    if (running !== null) return running;
    const failed: string[] = [];
    const waiting = new Map<string, PromiseLike<unknown>>();
    for (const [name, check] of Object.entries(checks)) {
      const said = tryCheck(check);
      if (isThenable(said)) waiting.set(name, said);
      else if (!said) failed.push(name);
    }
    if (waiting.size === 0) return failed;
    running = settle(waiting, seconds).then((others) => {
      running = null;
      return [...failed, ...others];
    });
    return running;
  };
}

function tryCheck(check: HealthCheck): boolean | PromiseLike<boolean> {
  try {
    return check();
  } catch {
    return false;
  }
}

/** The names of those that did not say yes in time. */
async function settle(
  waiting: ReadonlyMap<string, PromiseLike<unknown>>,
  seconds: number,
): Promise<string[]> {
  const failed = new Set(waiting.keys());
  const all = [...waiting].map(async ([name, said]) => {
    if (await said) failed.delete(name);
  });
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise((resolve) => {
    timer = setTimeout(resolve, toMilliseconds(seconds));
  });
  await Promise.race([Promise.allSettled(all), timeout]);
  clearTimeout(timer);
  return [...failed];
}

function checkHealthOptions(application: Application, options: HealthOptions): void {
  if (typeof application !== 'function') {
    throw new RyegateError(
      'ERR_RYEGATE_APPLICATION',
      `healthChecks() got ${showValue(application)}: expected an application, a function of ` +
        '(environ, startResponse)',
    );
  }
  checkNames(options, OPTIONS);
  const { live = '/healthz', ready = '/readyz' } = options;
  const isPath = (value: unknown): boolean => value === null || /^\/[^?#]*$/.test(String(value));
  checkOption('live', live, isPath, 'a path that begins with / and has no query, or null');
  checkOption('ready', ready, isPath, 'a path that begins with / and has no query, or null');
  const isOther = (value: string | null): boolean => value === null || value !== live;
  checkOption('ready', ready, isOther, 'another path than that of the option live, or null');
  const isTime = (value: number): boolean => typeof value === 'number' && value > 0;
  checkOption('checkTimeout', options.checkTimeout, isTime, 'seconds above 0');
  for (const [name, check] of Object.entries(options.checks ?? {})) {
    const isCheck = (value: unknown): boolean => typeof value === 'function';
    checkOption(`checks.${name}`, check, isCheck, 'a function that says true or false');
  }
}
