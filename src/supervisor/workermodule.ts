import type { TCPServer } from '../socketserver/index.ts';
import type { Application } from '../wsgi/types.ts';
import type { InheritedListener } from './messages.ts';
import type { ResolvedSettings } from './settings.ts';

/** What a worker has when it starts. */
export interface WorkerContext {
  readonly settings: ResolvedSettings;
  /** One for each address of `settings.bind`, in their order; servers take them by the option `fd`. */
  readonly listeners: readonly InheritedListener[];
  /** Whether the service ends, and not this worker alone, which another one replaces. */
  readonly ending: boolean;
  /** To be called for each request, as `maxRequests` counts them. */
  served(): void;
  /** The application with its requests counted, and `wsgi.multiprocess` as it is. */
  counted(application: Application): Application;
}

/** What a worker module makes. */
export interface WorkerParts {
  /** Listening, not serving yet. */
  readonly servers: readonly TCPServer[];
  /** The supervisor got SIGUSR1: log files have been renamed. */
  reopenLogs?(): unknown;
  /** The servers are closed, and the process is about to end. */
  close?(): void | Promise<void>;
}

/** A module that the setting `workerModule` names. */
export interface WorkerModule {
  startWorker(context: WorkerContext): WorkerParts | Promise<WorkerParts>;
  /** For `preload`, in a process that ends afterwards: throws when `startWorker()` would. */
  checkWorker?(context: WorkerContext): unknown;
}
