import { isatty } from 'node:tty';
import { messageOf } from './faultlog.ts';
import type { Supervisor } from './supervisor.ts';

type Actions = Partial<Record<NodeJS.Signals, () => unknown>>;

/** While it starts they are kept, as gunicorn's queue has it. */
const WHEN_RUNNING: readonly string[] = ['SIGHUP', 'SIGUSR2', 'SIGTTIN', 'SIGTTOU', 'SIGWINCH'];

/**
 * Does what signals ask a supervisor for, as gunicorn's master. Returns what ends that.
 *
 * TERM stops gracefully, INT and QUIT quickly, a second one of these by killing the workers. HUP
 * reloads, USR1 has logs reopened, USR2 starts a new master. TTIN and TTOU are a worker more and
 * less. WINCH stops the workers gracefully, until HUP or TTIN, unless there is a terminal: there it
 * tells that the window's size has changed.
 */
export function handleSignals(supervisor: Supervisor): () => void {
  const actions = actionsOf(supervisor);
  const listeners = Object.entries(actions).map(([signal, act]) => {
    const listener = (): unknown => {
      const isIgnored = signal === 'SIGWINCH' && hasTerminal();
      return isIgnored ? undefined : attempt(supervisor, signal, act);
    };
    process.on(signal, listener);
    return [signal, listener] as const;
  });
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener);
  };
}

function actionsOf(supervisor: Supervisor): Actions {
  let interrupts = 0;
  const quit = (): unknown => {
    interrupts += 1;
    if (interrupts > 1) supervisor.kill();
    return supervisor.stop({ graceful: false });
  };
  const scaleBy = (step: number) => (): unknown => {
    const { target } = supervisor.stats();
    return supervisor.scale(step < 0 ? Math.max(1, target + step) : target + step);
  };
  return {
    SIGTERM: () => supervisor.stop(),
    SIGINT: quit,
    SIGQUIT: quit,
    SIGHUP: () => supervisor.reload(),
    SIGUSR1: () => supervisor.reopenLogs(),
    SIGUSR2: () => supervisor.upgrade(),
    SIGTTIN: scaleBy(1),
    SIGTTOU: scaleBy(-1),
    SIGWINCH: () => supervisor.scale(0),
  };
}

export function hasTerminal(): boolean {
  return isatty(0) || isatty(1) || isatty(2);
}

/**
 * Nobody waits for what a signal does: a failure goes to the log, a stop is told by its own end. Of
 * one that ends nothing more is wanted.
 */
async function attempt(supervisor: Supervisor, signal: string, act: () => unknown): Promise<void> {
  supervisor.log('info', `got ${signal}`);
  try {
    if (WHEN_RUNNING.includes(signal)) {
      await supervisor.begun;
      if (!supervisor.isRunning) return;
    }
    await act();
  } catch (error) {
    supervisor.log('error', `${signal}: ${messageOf(error)}`);
  }
}
