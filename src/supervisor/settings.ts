import { resolve } from 'node:path';
import { RyegateError } from '../errors.ts';
import type { HTTPServerOptions } from '../httpserver/index.ts';
import { checkFlags, checkNames, checkOption, isWhole } from '../options.ts';
import { checkAddress, type ServerAddress } from '../reactor/address.ts';
import type { SelectorName } from '../selectors/index.ts';
import { realFolder, startFolder } from './startfolder.ts';

/** Where to listen: an address, or a listening descriptor that was inherited. */
export type BindAddress = ServerAddress | { readonly fd: number };

/** Options of each worker's server: those that can be sent to another process. */
export interface WorkerServerOptions
  extends Omit<HTTPServerOptions, 'selector' | 'fd' | 'bindAndActivate'> {
  selector?: SelectorName | 'auto' | undefined;
}

/** Settings of a `Supervisor`, named as gunicorn's. Times are in seconds, sizes in bytes. */
export interface SupervisorSettings {
  /** `MODULE[:EXPORT]`, loaded by every worker. Needed unless `workerModule` does without. */
  application?: string | undefined;
  /** The folder that `application` and `workerModule` are looked up from. Default: the current one. */
  cwd?: string | undefined;
  /** Default `[['127.0.0.1', 8000]]`. */
  bind?: readonly BindAddress[] | undefined;
  /** Worker processes. Default 1. */
  workers?: number | undefined;
  /** Options of the workers' servers. */
  server?: WorkerServerOptions | undefined;
  /** A worker that has not been heard of for so long is killed. Default 30; 0 never does. */
  timeout?: number | undefined;
  /** How long a worker that ends may go on answering what it was asked. Default 30. */
  gracefulTimeout?: number | undefined;
  /**
   * When all ends, how long the workers serve on while their servers are `draining`: for readiness
   * checks to tell those who send clients here. Default 0.
   */
  drainDelay?: number | undefined;
  /** A worker is replaced when it has served so many requests. Default 0, which is no limit. */
  maxRequests?: number | undefined;
  /** Up to so many more, by chance, so that workers do not end all at once. Default 0. */
  maxRequestsJitter?: number | undefined;
  /** A worker is replaced when its memory (resident set size) is above. Default 0: no limit. */
  maxRss?: number | undefined;
  /** A worker is replaced when it has run so long. Default 0: no limit. */
  maxAge?: number | undefined;
  /**
   * Loads the application once in a process that ends again, before any worker is started or
   * replaced. Default false.
   */
  preload?: boolean | undefined;
  /** A file with the process id of the supervisor, made when it starts. Default: none. */
  pidfile?: string | undefined;
  /** Who the workers are, by name or number, once the supervisor has bound. Default: as it is. */
  user?: string | number | undefined;
  group?: string | number | undefined;
  /** Permission bits that new files of the workers do not get. Default: as the supervisor's. */
  umask?: number | undefined;
  /** Added to the environment of the workers. */
  env?: Readonly<Record<string, string>> | undefined;
  /** Options of `node` for the workers, such as `--max-old-space-size=512`. */
  nodeOptions?: readonly string[] | undefined;
  /** A module with `startWorker(context)`: serves in place of the `application`; see `WorkerModule`. */
  workerModule?: string | undefined;
  /** For the `workerModule`: anything that the structured clone algorithm can copy. */
  workerData?: unknown;
}

/** Those that may be left out. */
type Unset = 'application' | 'workerModule' | 'pidfile' | 'user' | 'group';

/**
 * Settings with their defaults. What has no limit is `Infinity`, `cwd` is free of symbolic links, and
 * `env` is all of the workers' environment.
 */
export type ResolvedSettings = {
  readonly [Name in keyof SupervisorSettings]-?: Name extends Unset
    ? SupervisorSettings[Name]
    : Exclude<SupervisorSettings[Name], undefined>;
};

const KNOWN: Readonly<Record<keyof SupervisorSettings, true>> = {
  application: true,
  cwd: true,
  bind: true,
  workers: true,
  server: true,
  timeout: true,
  gracefulTimeout: true,
  drainDelay: true,
  maxRequests: true,
  maxRequestsJitter: true,
  maxRss: true,
  maxAge: true,
  preload: true,
  pidfile: true,
  user: true,
  group: true,
  umask: true,
  env: true,
  nodeOptions: true,
  workerModule: true,
  workerData: true,
};

const MOST_WORKERS = 1024;

const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';
const isCount = (value: unknown): boolean => value === Infinity || isWhole(value, 0, 2 ** 53 - 1);
const isTime = (value: unknown): boolean => typeof value === 'number' && value >= 0;
const isSpan = (value: unknown): boolean => isTime(value) && value !== Infinity;

/**
 * Settings with their defaults. What follows from this process is as it is now, so that settings
 * that are taken back are complete. `folder`: the one that `cwd` is seen from.
 *
 * @throws RyegateError `ERR_RYEGATE_OPTION` for those that make no sense, `ERR_RYEGATE_ADDRESS`
 */
export function resolveSettings(
  settings: SupervisorSettings,
  folder: string = startFolder(),
): ResolvedSettings {
  checkSettings(settings);
  const limit = (value: number | undefined): number => value || Infinity;
  return {
    application: settings.application,
    cwd: realFolder(resolve(folder, settings.cwd ?? '.')),
    bind: settings.bind ?? [['127.0.0.1', 8000]],
    workers: settings.workers ?? 1,
    server: settings.server ?? {},
    timeout: limit(settings.timeout ?? 30),
    gracefulTimeout: settings.gracefulTimeout ?? 30,
    drainDelay: settings.drainDelay ?? 0,
    maxRequests: limit(settings.maxRequests),
    maxRequestsJitter: settings.maxRequestsJitter ?? 0,
    maxRss: limit(settings.maxRss),
    maxAge: limit(settings.maxAge),
    preload: settings.preload ?? false,
    pidfile: settings.pidfile,
    user: settings.user,
    group: settings.group,
    umask: settings.umask ?? process.umask(),
    env: { ...(process.env as Record<string, string>), ...settings.env },
    nodeOptions: settings.nodeOptions ?? [],
    workerModule: settings.workerModule,
    workerData: settings.workerData ?? null,
  };
}

function checkSettings(settings: SupervisorSettings): void {
  checkNames(settings, KNOWN);
  checkOption('application', settings.application, isText, 'MODULE or MODULE:EXPORT');
  checkOption('workerModule', settings.workerModule, isText, 'the path or name of a module');
  if (settings.application === undefined && settings.workerModule === undefined) {
    throw new RyegateError(
      'ERR_RYEGATE_OPTION',
      'a supervisor needs the option application, such as ./app.js:app',
    );
  }
  checkOption('cwd', settings.cwd, isText, 'the path of a folder');
  checkOption('pidfile', settings.pidfile, isText, 'the path of a file');
  const isNumber = (value: number): boolean => isWhole(value, 0, MOST_WORKERS);
  checkOption('workers', settings.workers, isNumber, `a number from 0 to ${MOST_WORKERS}`);
  for (const name of ['timeout', 'gracefulTimeout', 'maxAge'] as const) {
    checkOption(name, settings[name], isTime, 'seconds, 0 or more');
  }
  checkOption('drainDelay', settings.drainDelay, isSpan, 'seconds, 0 or more');
  for (const name of ['maxRequests', 'maxRequestsJitter', 'maxRss'] as const) {
    checkOption(name, settings[name], isCount, 'a whole number, 0 or more');
  }
  checkFlags(settings, ['preload']);
  checkBind(settings.bind);
  checkCopied(settings);
}

function checkBind(bind: SupervisorSettings['bind']): void {
  const isList = (value: readonly BindAddress[]): boolean =>
    Array.isArray(value) && value.length > 0;
  checkOption('bind', bind, isList, 'a list of one address or more');
  for (const address of bind ?? []) {
    if (!isDescriptor(address)) checkAddress(address);
    else checkOption('bind', address.fd, isOpenable, 'the number of an open descriptor');
  }
}

/** Whether an inherited descriptor is given, in place of an address. */
export function isDescriptor(bind: BindAddress): bind is { readonly fd: number } {
  return typeof bind === 'object' && bind !== null && 'fd' in bind;
}

const isOpenable = (fd: number): boolean => isWhole(fd, 0, 2 ** 31 - 1);

function isEnvironment(env: Readonly<Record<string, string>>): boolean {
  if (typeof env !== 'object' || env === null || Array.isArray(env)) return false;
  return Object.entries(env).every(([name, value]) => {
    return /^[^=\0]+$/.test(name) && typeof value === 'string' && !value.includes('\0');
  });
}

/** What goes to the workers is found to be impossible to send here, and not by each of them. */
function checkCopied(settings: SupervisorSettings): void {
  const isList = (value: readonly string[]): boolean =>
    Array.isArray(value) && value.every((option) => typeof option === 'string');
  checkOption('nodeOptions', settings.nodeOptions, isList, 'a list of strings');
  checkOption('env', settings.env, isEnvironment, 'an object of strings by name');
  for (const name of ['server', 'workerData'] as const) {
    try {
      structuredClone(settings[name]);
    } catch (error) {
      throw new RyegateError(
        'ERR_RYEGATE_OPTION',
        `the option ${name} cannot be sent to the workers (${(error as Error).message}): give ` +
          'plain data, and make everything else in the workerModule',
      );
    }
  }
}
