export type { CrashLimits } from './crashes.ts';
export type { LogLevel } from './crew.ts';
export { type ForkingSettings, forking } from './forking.ts';
export {
  type EnvironmentOptions,
  type ListenDescriptor,
  listenDescriptors,
} from './listendescriptors.ts';
export type { InheritedListener } from './messages.ts';
export { Notifier } from './notifier.ts';
export { PidFile } from './pidfile.ts';
export type { PoolDrainOptions, PoolServerOptions, ThreadPoolOptions } from './poolsettings.ts';
export type { PoolStats, PoolSummary, ThreadStats } from './poolstats.ts';
export type { ThreadState } from './poolthread.ts';
export {
  dropPrivileges,
  type Privileges,
  type ResolvedGroup,
  type ResolvedUser,
  resolveGroup,
  resolveUser,
} from './privileges.ts';
export { Reaper, type ReaperOptions } from './reaper.ts';
export type {
  BindAddress,
  ResolvedSettings,
  SupervisorSettings,
  WorkerServerOptions,
} from './settings.ts';
export {
  type StopSummary,
  Supervisor,
  type SupervisorStats,
  type WorkerStats,
} from './supervisor.ts';
export type { SupervisorOptions } from './supervisoroptions.ts';
export type { ThreadContext, ThreadModule, ThreadParts } from './threadmodule.ts';
export { ThreadPool } from './threadpool.ts';
export { Watchdog, type WatchdogOptions } from './watchdog.ts';
export type { WorkerContext, WorkerModule, WorkerParts } from './workermodule.ts';
export type { WorkerState } from './workerprocess.ts';
