import { constants } from 'node:os';
import { hasTerminal } from '../supervisor/signals.ts';
import type { Logs } from './logs.ts';
import type { Options } from './table/table.ts';

/** How it is to end, in seconds. */
export interface Ending {
  /** For which it goes on serving, but is not ready. */
  readonly delay: number;
  /** That requests have to finish. */
  readonly deadline: number;
}

type SignalLogs = Pick<Logs, 'tell' | 'reopen'>;

/** Seconds that requests have when it is to end quickly, as with a supervisor. */
const QUICK = 0.5;

type Actions = Partial<Record<NodeJS.Signals, () => void>>;

/**
 * Does what signals ask of a server without worker processes. `end` is called once, by the first
 * one that has it end.
 *
 * TERM, INT and QUIT end it, QUIT quickly; who sends a second one waits for nothing. USR1 has logs
 * reopened, and so has HUP, but at a terminal: there it tells that the terminal is being closed,
 * and ends the server. What takes worker processes is told.
 */
export function handleSignals(
  options: Pick<Options, 'drainDelay' | 'gracefulTimeout'>,
  logs: SignalLogs,
  end: (ending: Ending) => void,
): void {
  for (const [signal, act] of Object.entries(actionsOf(options, logs, end))) {
    process.on(signal, act);
  }
}

function actionsOf(
  { drainDelay, gracefulTimeout }: Pick<Options, 'drainDelay' | 'gracefulTimeout'>,
  logs: SignalLogs,
  end: (ending: Ending) => void,
): Actions {
  let isEnding = false;
  const endBy = (delay: number, deadline: number): void => {
    if (isEnding) return;
    isEnding = true;
    end({ delay, deadline });
  };
  const ending = (signal: NodeJS.Signals, delay: number, deadline: number) => (): void => {
    if (isEnding) process.exit(128 + constants.signals[signal]);
    endBy(delay, deadline);
  };
  const hangUp = (): void => {
    logs.reopen();
    logs.tell(
      'info',
      'SIGHUP: the logs are reopened; to load the application anew takes --workers',
    );
  };
  return {
    SIGTERM: ending('SIGTERM', drainDelay, gracefulTimeout),
    // Who is at a terminal waits for nobody's readiness checks.
    SIGINT: ending('SIGINT', 0, gracefulTimeout),
    SIGQUIT: ending('SIGQUIT', 0, Math.min(QUICK, gracefulTimeout)),
    // The shell and the system may both tell it that its terminal is closed.
    SIGHUP: hasTerminal() ? () => endBy(0, gracefulTimeout) : hangUp,
    // Without it, Node would open its debugger.
    SIGUSR1: () => logs.reopen(),
    SIGUSR2: needingWorkers('SIGUSR2', logs),
    ...(hasTerminal() ? {} : jobControl(logs)),
  };
}

/** A terminal stops by them who reads or writes in the background, and would send them again. */
function jobControl(logs: SignalLogs): Actions {
  return {
    SIGTTIN: needingWorkers('SIGTTIN', logs),
    SIGTTOU: needingWorkers('SIGTTOU', logs),
  };
}

function needingWorkers(signal: NodeJS.Signals, logs: SignalLogs): () => void {
  return () => logs.tell('warning', `${signal} does nothing without worker processes: --workers N`);
}
