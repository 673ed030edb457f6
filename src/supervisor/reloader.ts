import { isInstance, RyegateError } from '../errors.ts';
import { type FileWatcher, type WatchOptions, watchFiles } from './filewatcher.ts';
import type { Supervisor } from './supervisor.ts';

/** Milliseconds until it is tried again, while the supervisor still starts. */
const AGAIN = 100;
/** Milliseconds that a worker which loads what has changed since may go on with that. */
const STALE_LOADING = 1000;

export interface ReloadOptions extends WatchOptions {
  /** Called before the reload that the files cause. */
  changed(files: readonly string[]): void;
  /** Folders cannot be watched, or a reload failed: then the workers serve on as they are. */
  failed(error: Error): void;
}

/** Reloads a supervisor whenever files change, until it is closed. */
export function reloadOnChanges(supervisor: Supervisor, options: ReloadOptions): FileWatcher {
  let latest = 0;
  let timer: NodeJS.Timeout | undefined;
  const reload = async (turn: number): Promise<void> => {
    try {
      await supervisor.reload();
    } catch (error) {
      // Another change came meanwhile.
      if (turn !== latest) return;
      if (isNotRunning(error)) timer = setTimeout(() => reload(turn), AGAIN);
      else options.failed(error as Error);
    }
  };
  const changed = (files: readonly string[]): void => {
    options.changed(files);
    latest += 1;
    const loading = loadingOf(supervisor);
    setTimeout(() => endLoading(supervisor, loading), STALE_LOADING).unref();
    reload(latest);
  };
  const watcher = watchFiles({ ...options, changed });
  const close = (): void => {
    latest += 1;
    clearTimeout(timer);
    watcher.close();
  };
  return { close };
}

function loadingOf(supervisor: Supervisor): number[] {
  const loading = supervisor.stats().workers.filter(({ state }) => state === 'starting');
  return loading.map(({ pid }) => pid).filter((pid) => pid > 0);
}

/** A reload would wait for those that never come to the end of their loading. */
function endLoading(supervisor: Supervisor, pids: readonly number[]): void {
  for (const pid of loadingOf(supervisor)) if (pids.includes(pid)) kill(pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}

function isNotRunning(error: unknown): boolean {
  return isInstance(error, RyegateError) && error.code === 'ERR_RYEGATE_SUPERVISOR';
}
