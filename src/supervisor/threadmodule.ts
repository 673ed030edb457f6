import type { HTTPServerOptions } from '../httpserver/index.ts';
import type { RequestHandlerClass } from '../socketserver/index.ts';
import type { Application } from '../wsgi/types.ts';

/** What a thread has when it starts. */
export interface ThreadContext {
  /** The option `threadData`, copied. */
  readonly data: unknown;
  /** Whether the pool ends, and not this thread alone, so that readiness is to be denied. */
  readonly draining: boolean;
}

/** What a thread module makes. */
export interface ThreadParts {
  readonly application: Application;
  /** Default `WSGIRequestHandler`. */
  readonly requestHandlerClass?: RequestHandlerClass | undefined;
  /** Options of the thread's server beside those of the pool: what cannot be copied, such as logs. */
  readonly server?: Pick<HTTPServerOptions, 'accessLog' | 'errorLog' | 'logRequests'> | undefined;
  /** Whether what clients cause is logged: `logNotice()`. Default true. */
  readonly logsNotices?: boolean | undefined;
  /** `reopenLogs()` of the pool was called: log files have been renamed. */
  reopenLogs?(): unknown;
  /** The server is closed, and the thread is about to end. */
  close?(): void | Promise<void>;
}

/** A module that the option `threadModule` names. */
export interface ThreadModule {
  startThread(context: ThreadContext): ThreadParts | Promise<ThreadParts>;
}
