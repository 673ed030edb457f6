import { existsSync } from 'node:fs';
import { dirname, relative, resolve, sep } from 'node:path';
import { formatURL } from '../reactor/address.ts';
import { Supervisor, type SupervisorSettings } from '../supervisor/index.ts';
import { reloadOnChanges } from '../supervisor/reloader.ts';
import { hasTerminal } from '../supervisor/signals.ts';
import { hasColours } from './development/colours.ts';
import { warnOfDevelopment } from './development/warnings.ts';
import { type Logs, openLogs } from './logs.ts';
import type { Plan } from './plan.ts';
import { STATUS } from './status.ts';
import { settingsOf } from './supervise.ts';
import type { Options } from './table/table.ts';

/** Seconds that an old worker has for what it still answers: a stream may go on for ever. */
const LONGEST_DRAIN = 2;
/** The most files whose names are told. */
const MOST_NAMES = 3;

/** Serves by a worker that is replaced whenever a file changes; gives the exit status. */
export async function serveReloading(plan: Plan): Promise<number> {
  const { options } = plan;
  const logs = openLogs(options);
  const supervisor = new Supervisor(settingsFor(plan), {
    // What it does is no news here.
    log: (level, text) => logs.tell(level === 'info' ? 'debug' : level, text),
    // The next save may mend it.
    crashLimits: { unready: Infinity, crashes: Infinity },
  });
  // Before anything is loaded, so that no change is missed.
  const watcher = reloadOnChanges(supervisor, {
    folders: foldersOf(options),
    ignore: [...options.reloadIgnore, ...ownFiles(options)],
    changed: (files) =>
      logs.tell('info', `${namesOf(files)} changed: loading the application again`),
    failed: (error) => logs.tell('error', explain(error)),
  });
  // The terminal is being closed, and nobody is there any more.
  if (hasTerminal()) process.on('SIGHUP', () => supervisor.stop({ graceful: false }));
  const ended = supervisor.run();
  announce(supervisor, logs);
  const status = await ended;
  watcher.close();
  const { aborted, killed } = await supervisor.stop();
  // Who ends it at a desk does not mind what breaks off.
  const hasFailed = status !== STATUS.stopped && aborted + killed === 0;
  if (!hasFailed) logs.tell('info', 'stopped');
  await logs.close();
  return hasFailed ? status : STATUS.stopped;
}

function announce({ addresses }: Supervisor, logs: Logs): void {
  // Else it has failed, and says so.
  if (addresses.length === 0) return;
  warnOfDevelopment(addresses, logs);
  for (const address of addresses) {
    logs.tell('info', `listening on ${formatURL(address)} (quit with Ctrl-C)`);
  }
}

function settingsFor(plan: Plan): SupervisorSettings {
  const { options } = plan;
  const settings = settingsOf(plan);
  return {
    ...settings,
    workerModule: new URL('reloadworker.js', import.meta.url).href,
    workers: options.workers || 1,
    gracefulTimeout: Math.min(options.gracefulTimeout, LONGEST_DRAIN),
    drainDelay: 0,
    preload: false,
    // Their standard error is a pipe to this process, which passes it on to the terminal.
    env: hasColours() ? { ...settings.env, FORCE_COLOR: '1' } : settings.env,
  };
}

// What is watched.

function foldersOf({ reloadDir, application }: Options): string[] {
  if (reloadDir.length > 0) return reloadDir;
  const here = process.cwd();
  const module = application?.replace(/:[^:/\\]*$/, '') ?? '';
  const folder = existsSync(module) ? dirname(resolve(module)) : here;
  return `${folder}${sep}`.startsWith(here + sep) ? [here] : [here, folder];
}

/** What this process itself writes. */
function ownFiles({ accessLog, errorLog, pidFile }: Options): string[] {
  const files = [accessLog, errorLog, pidFile].filter((file) => file !== null && file !== '-');
  return files.map((file) => `/${relative(process.cwd(), resolve(file as string))}`);
}

function namesOf(files: readonly string[]): string {
  const names = files.slice(0, MOST_NAMES).map((file) => relative(process.cwd(), file) || file);
  const others = files.length - names.length;
  return names.join(', ') + (others > 0 ? ` and ${others} more` : '');
}

function explain(error: Error & { code?: unknown; syscall?: unknown }): string {
  if (error.syscall !== 'watch') return `${error.message}; the next save is tried again`;
  const remedy =
    error.code === 'ENOSPC'
      ? 'raise the sysctl fs.inotify.max_user_watches'
      : 'leave it out by --reload-ignore';
  return `not every folder can be watched (${error.message}): ${remedy}, or choose by --reload-dir`;
}
