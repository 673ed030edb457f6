import { availableParallelism } from 'node:os';
import type { ResourceLimits } from 'node:worker_threads';
import type { RyegateError } from '../errors.ts';
import type { HTTPServerOptions } from '../httpserver/index.ts';
import { checkFlags, checkNames, checkOption, isWhole } from '../options.ts';
import type { ServerAddress } from '../reactor/address.ts';
import type { SelectorName } from '../selectors/index.ts';
import { logToStandardError } from './faultlog.ts';

/** What can be in one thread only, since it cannot be copied to others. */
const UNCOPIED = ['accessLog', 'errorLog', 'selector'] as const;

/** Without objects of the caller's own: they cannot be in several threads. */
export interface PoolServerOptions
  extends Omit<HTTPServerOptions, 'bindAndActivate' | (typeof UNCOPIED)[number]> {
  selector?: SelectorName | 'auto' | undefined;
}

/** Settings of a thread pool. Times are in seconds. */
export interface ThreadPoolOptions {
  /**
   * Names the application, which every thread loads for itself: `MODULE[:EXPORT]`, a path or a
   * package, as on the command line.
   */
  application?: string | undefined;
  /**
   * A module that makes the application, and what else cannot be copied to threads, in place of
   * `application`: its function `startThread()` is called in every thread. A path or a package, seen
   * from `cwd`, or a file URL.
   */
  threadModule?: string | undefined;
  /** For that module: anything that the structured clone algorithm copies. */
  threadData?: unknown;
  /** The folder that the application is named from. Default the current one. */
  cwd?: string | undefined;
  /** Threads at least, and at first. Default one for each processor. */
  min?: number | undefined;
  /** Threads at most. Default `min`. */
  max?: number | undefined;
  /**
   * `'listener'` (the default): every thread accepts for itself, from one shared listener, or with
   * `server.allowReusePort` from one of its own. `'acceptor'`: the thread that made the pool accepts
   * and queues the connections for the others.
   */
  mode?: 'listener' | 'acceptor' | undefined;
  /** Settings of the threads' servers. Default none. */
  server?: PoolServerOptions | undefined;
  /** Threads serve by `serveForeverSync()`: for synchronous applications. Default false. */
  blocking?: boolean | undefined;
  /** A thread whose loop has not turned for so long is replaced; null: none is. Default 30. */
  timeout?: number | null | undefined;
  /** How long a thread may take to finish what it has begun; it may be 0. Default 30. */
  closeTimeout?: number | undefined;
  /** Acceptor mode: connections that may wait; more are answered 503. Default 1024. */
  acceptedQueueSize?: number | undefined;
  /** Acceptor mode: how long one waits at most, then it is answered 503. Default 10. */
  acceptedQueueTimeout?: number | undefined;
  /** Acceptor mode: so long there is an idle thread before there is one less. Default 10. */
  idleTimeout?: number | undefined;
  /**
   * `ThreadingMixIn.daemon_threads`: threads do not keep the process alive, and `stop()` does not
   * wait for them. Default false.
   */
  daemonThreads?: boolean | undefined;
  /**
   * `ThreadingMixIn.block_on_close`: `stop()` waits until the threads have finished what they have
   * begun. Default true.
   */
  blockOnClose?: boolean | undefined;
  /** Of memory, for each thread: `resourceLimits` of `node:worker_threads`. */
  resourceLimits?: ResourceLimits | undefined;
  /** Options of `node` for the threads. Default those of the process. */
  execArgv?: readonly string[] | undefined;
  /**
   * Told why a thread is replaced: `ERR_RYEGATE_THREAD_HUNG`, `ERR_RYEGATE_THREAD_ENDED`. Default:
   * tells standard error.
   */
  logError?: ((error: RyegateError) => void) | undefined;
}

/** How a pool is drained. */
export interface PoolDrainOptions {
  /** Seconds to serve on while readiness is denied. Default 0. */
  delay?: number | undefined;
  /** Seconds that what was begun has from then on. Default `closeTimeout`. */
  deadline?: number | undefined;
}

type Defaulted = 'application' | 'threadModule' | 'threadData' | 'resourceLimits' | 'execArgv';

export type PoolSettings = {
  readonly [Name in Exclude<keyof ThreadPoolOptions, Defaulted>]-?: Exclude<
    ThreadPoolOptions[Name],
    undefined
  >;
} & Pick<ThreadPoolOptions, Defaulted>;

/** The longest queue, which lies in memory of its own. */
const MOST_QUEUED = 65_536;
const MOST_THREADS = 1024;

const NAMES: Readonly<Record<keyof ThreadPoolOptions, true>> = {
  application: true,
  threadModule: true,
  threadData: true,
  cwd: true,
  min: true,
  max: true,
  mode: true,
  server: true,
  blocking: true,
  timeout: true,
  closeTimeout: true,
  acceptedQueueSize: true,
  acceptedQueueTimeout: true,
  idleTimeout: true,
  daemonThreads: true,
  blockOnClose: true,
  resourceLimits: true,
  execArgv: true,
  logError: true,
};

const UNSHARED = 'false for a unix socket, whose threads share one listener';

/** @throws RyegateError `ERR_RYEGATE_OPTION` for what makes no sense */
export function poolSettings(address: ServerAddress, options: ThreadPoolOptions): PoolSettings {
  checkNames(options, NAMES);
  check(options);
  const canReuse = typeof address !== 'string' || options.mode === 'acceptor';
  const reusePort = options.server?.allowReusePort;
  checkOption('server.allowReusePort', reusePort, (value) => canReuse || !value, UNSHARED);
  const min = options.min ?? Math.min(availableParallelism(), options.max ?? Infinity);
  return {
    ...options,
    cwd: options.cwd ?? process.cwd(),
    min,
    max: options.max ?? min,
    mode: options.mode ?? 'listener',
    server: options.server ?? {},
    blocking: options.blocking ?? false,
    timeout: options.timeout === undefined ? 30 : options.timeout,
    closeTimeout: options.closeTimeout ?? 30,
    acceptedQueueSize: options.acceptedQueueSize ?? 1024,
    acceptedQueueTimeout: options.acceptedQueueTimeout ?? 10,
    idleTimeout: options.idleTimeout ?? 10,
    daemonThreads: options.daemonThreads ?? false,
    blockOnClose: options.blockOnClose ?? true,
    logError: options.logError ?? logToStandardError,
  };
}

/** Throws `ERR_RYEGATE_OPTION` for what is no number of threads. */
export function checkCount(count: number): void {
  checkOption('count', count, (value) => isWhole(value, 0, MOST_THREADS), 'a number of threads');
}

function checkServer(server: HTTPServerOptions = {}): void {
  checkOption('server', server, (value) => typeof value === 'object' && value !== null, 'options');
  const canCopy = (value: unknown): boolean => typeof value === 'string';
  for (const name of UNCOPIED) {
    checkOption(`server.${name}`, server[name], canCopy, 'nothing that threads cannot share');
  }
}

function checkModules({ application, threadModule }: ThreadPoolOptions): void {
  // Where both are missing, that is wrong as well.
  const given = threadModule === undefined ? (application ?? null) : application;
  const what = 'MODULE[:EXPORT], such as ./app.js, or a threadModule in its place';
  const isApplication = (value: unknown): boolean => threadModule === undefined && isText(value);
  checkOption('application', given, isApplication, what);
  checkOption('threadModule', threadModule, isText, 'a path, a package or a file URL');
}

function check(options: ThreadPoolOptions): void {
  checkServer(options.server);
  const { min = 1, max = MOST_THREADS, mode, timeout } = options;
  const isTime = (value: unknown): boolean => typeof value === 'number' && value > 0;
  checkModules(options);
  checkOption('cwd', options.cwd, isText, 'the path of a folder');
  checkOption('min', min, (value) => isWhole(value, 1, MOST_THREADS), 'at least 1 thread');
  const isMost = (value: number): boolean => isWhole(value, min, MOST_THREADS);
  checkOption('max', max, isMost, `threads, from min (${min}) to ${MOST_THREADS}`);
  checkOption('mode', mode, isMode, "'listener' or 'acceptor'");
  checkOption('timeout', timeout, (value) => value === null || isTime(value), 'seconds, or null');
  const isPatience = (value: unknown): boolean => value === 0 || isTime(value);
  checkOption('closeTimeout', options.closeTimeout, isPatience, 'seconds from 0 on, or Infinity');
  const isSize = (value: number): boolean => isWhole(value, 1, MOST_QUEUED);
  checkOption('acceptedQueueSize', options.acceptedQueueSize, isSize, 'connections, at least 1');
  checkOption('acceptedQueueTimeout', options.acceptedQueueTimeout, isTime, 'seconds, above 0');
  checkOption('idleTimeout', options.idleTimeout, isTime, 'seconds, above 0');
  checkOption('logError', options.logError, isFunction, 'a function');
  checkFlags(options, ['blocking', 'daemonThreads', 'blockOnClose']);
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isMode(value: unknown): boolean {
  return value === 'listener' || value === 'acceptor';
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}
