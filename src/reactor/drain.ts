import { RyegateError } from '../errors.ts';
import { checkNames, checkOption } from '../options.ts';
import { attempt } from '../thenable.ts';
import type { Timed } from './protocol.ts';
import type { Reactor } from './reactor.ts';
import type { StreamSocket } from './streamsocket.ts';

/**
 * How far a drain has come:
 * - `unready`: served as before, but readiness is denied, for those who send clients here to notice.
 * - `backlog`: whoever has connected already is accepted.
 * - `closing`: nobody else is; what was begun is finished.
 * - `forcing`: the time is up, and what is left is broken off.
 * - `drained`: no connection is open.
 */
export type DrainPhase = 'unready' | 'backlog' | 'closing' | 'forcing' | 'drained';

/** In order. */
export const DRAIN_PHASES: readonly DrainPhase[] = [
  'unready',
  'backlog',
  'closing',
  'forcing',
  'drained',
];

export interface DrainSummary {
  /**
   * Connections that have ended by themselves since the listener closed: their requests have been
   * answered, or their clients have left. Idle ones that the server has ended are not among them.
   */
  finished: number;
  /** Connections that were broken off at the deadline: their clients have no complete answer. */
  aborted: number;
  /** How long it took, in seconds. */
  seconds: number;
}

/** As the summary, so far. */
export interface DrainProgress extends DrainSummary {
  phase: DrainPhase;
  /** Connections that are open still, those included that only wait for their client's end. */
  open: number;
}

export interface DrainOptions {
  /** Seconds to serve on while readiness is denied, as long as somebody serves. Default 0. */
  delay?: number | undefined;
  /** Seconds that what was begun has from then on. Default the class's `closeTimeout`, 30. */
  deadline?: number | undefined;
  /**
   * Seconds that an idle connection is left open, since its client may have sent a request that is
   * on its way. Default 0.025; as long as the way takes, where clients are far.
   */
  grace?: number | undefined;
  /** Told of each phase when it begins. It may be async. */
  progress?: ((progress: DrainProgress) => unknown) | undefined;
}

/** Seconds; each may be 0. */
export interface DrainSettings {
  readonly delay: number;
  readonly deadline: number;
  readonly grace: number;
  /** Whether clients are served that wait in the backlog, or whose request is arriving. */
  readonly obliging: boolean;
  readonly progress: (progress: DrainProgress) => unknown;
}

/** Seconds for requests that are on their way over idle connections. */
export const IDLE_GRACE = 0.025;

const OPTIONS: Readonly<Record<keyof DrainOptions, true>> = {
  delay: true,
  deadline: true,
  grace: true,
  progress: true,
};

/** Throws `ERR_RYEGATE_OPTION` for what is no number of seconds, and for other names. */
export function checkDrainOptions(options: DrainOptions): void {
  checkNames(options, OPTIONS);
  const { delay, deadline, grace, progress } = options;
  const isTime = (value: number): boolean => typeof value === 'number' && value >= 0;
  const isSpan = (value: number): boolean => isTime(value) && value < Infinity;
  checkOption('delay', delay, isSpan, 'seconds from 0 on');
  checkOption('deadline', deadline, isTime, 'seconds from 0 on, or Infinity');
  checkOption('grace', grace, isSpan, 'seconds from 0 on');
  checkOption('progress', progress, (value) => typeof value === 'function', 'a function');
}

export function drainSettings(options: DrainOptions, closeTimeout: number): DrainSettings {
  checkDrainOptions(options);
  const { delay = 0, deadline = closeTimeout, grace = IDLE_GRACE, progress = () => {} } = options;
  return { delay, deadline, grace, obliging: true, progress };
}

/** What a server does for its drain. */
export interface DrainedServer {
  readonly reactor: Reactor;
  acceptBacklog(): void;
  closeListener(): void;
  /** Told of what `progress` throws, or rejects with. */
  logError(error: unknown): void;
}

/**
 * Takes a server out of service, step by step. Whoever serves calls `step()` after every turn, and
 * the drain sees to it that there is a turn when there is something to do.
 */
export class Drain implements Timed {
  deadline: number = Infinity;
  readonly #server: DrainedServer;
  readonly #settings: DrainSettings;
  readonly #begun = performance.now();
  #phase: DrainPhase = 'unready';
  /** When the phase ends, or a part of it; milliseconds of the monotonic clock. */
  #due = 0;
  /** Seconds that what was begun has, and idle connections before; `hurry()` may shorten both. */
  #patience: number;
  #grace: number;
  /** Connections that were at work when the others had been closed; null before. */
  #busy: StreamSocket[] | null = null;
  /** Those of the last connections that had ended before that, and those that were broken off. */
  #early = 0;
  #aborted = 0;
  #atClosing = 0;
  /** The turn in which the grace was over. */
  #lastTurn: number | null = null;

  constructor(server: DrainedServer, settings: DrainSettings) {
    this.#server = server;
    this.#settings = settings;
    this.#patience = settings.deadline;
    this.#grace = settings.grace;
  }

  begin(): void {
    const { deadlines, waker } = this.#server.reactor;
    deadlines.add(this);
    this.#wait(this.#settings.delay);
    this.#enter('unready');
    waker.wake();
  }

  get over(): boolean {
    return this.#phase === 'drained';
  }

  get progress(): DrainProgress {
    const { size } = this.#server.reactor.sockets;
    const early = this.#busy === null ? this.#atClosing - size : this.#early;
    const ended = this.#busy?.filter((socket) => socket.answered).length ?? 0;
    return {
      phase: this.#phase,
      open: size,
      finished: Math.max(early, 0) + ended - this.#aborted,
      aborted: this.#aborted,
      seconds: (performance.now() - this.#begun) / 1000,
    };
  }

  get summary(): DrainSummary {
    const { finished, aborted, seconds } = this.progress;
    return { finished, aborted, seconds };
  }

  /** Goes on as far as it can now. Whether it is over. */
  step(): boolean {
    if (this.#phase === 'unready' && this.#isDue()) this.#close();
    if (this.#phase === 'closing' && this.#busy === null && this.#isDue()) this.#listenOnce();
    if (this.#phase === 'closing' && this.#busy !== null && this.#isDue()) this.#force();
    const isClosed = this.#phase === 'closing' || this.#phase === 'forcing';
    if (isClosed && this.#server.reactor.sockets.size === 0) this.#enter('drained');
    return this.over;
  }

  /** Nobody serves any more: those who connect would wait for the end of the delay in vain. */
  endDelay(): void {
    if (this.#phase === 'unready') this.#wait(0);
  }

  /** Denies no longer than it has, and gives what was begun `seconds` from now on at most. */
  hurry(seconds: number): void {
    this.#patience = Math.min(this.#patience, seconds);
    this.#grace = Math.min(this.#grace, seconds, IDLE_GRACE);
    if (this.#phase === 'unready') this.#wait(0);
    else if (this.#busy === null) this.#wait(Math.min(this.#grace, this.#left));
    else this.#wait(Math.min(seconds, this.#left));
    this.#server.reactor.waker.wake();
  }

  /** Something is due. What is done about it waits for the end of the turn. */
  expire(): void {
    this.#server.reactor.waker.wake();
  }

  #close(): void {
    if (this.#settings.obliging) {
      this.#enter('backlog');
      this.#attempt(() => this.#server.acceptBacklog());
    }
    this.#attempt(() => this.#server.closeListener());
    const { sockets } = this.#server.reactor;
    for (const socket of sockets) socket.serverClosing();
    this.#atClosing = sockets.size;
    this.#enter('closing');
    this.#wait(this.#grace);
  }

  /** What has come meanwhile is received first: the turn that has ended may have been a long one. */
  #listenOnce(): void {
    const { turns, waker } = this.#server.reactor;
    this.#lastTurn ??= turns;
    if (turns > this.#lastTurn) this.#endIdle();
    else waker.wake();
  }

  #endIdle(): void {
    const { sockets } = this.#server.reactor;
    this.#early = this.#atClosing - sockets.size;
    this.#busy = [];
    for (const socket of sockets) {
      if (!socket.endIfIdle(this.#settings.obliging)) this.#busy.push(socket);
    }
    this.#wait(this.#patience);
  }

  #force(): void {
    const aborted = this.#busy?.filter((socket) => !socket.answered).length ?? 0;
    const { sockets } = this.#server.reactor;
    for (const socket of sockets) {
      if (socket.answered) socket.abort();
      else socket.reset(cutOff(this.#patience));
    }
    this.#aborted = aborted;
    this.#enter('forcing');
  }

  #enter(phase: DrainPhase): void {
    this.#phase = phase;
    this.#attempt(() => this.#settings.progress(this.progress));
  }

  /** For want of descriptors, say: what is left has to be drained all the same. */
  #attempt(act: () => unknown): void {
    attempt(act, (error) => this.#server.logError(error));
  }

  #wait(seconds: number): void {
    this.#due = performance.now() + seconds * 1000;
    // What is due at once is done in the turn that follows: a sweep would put off the next deadline.
    if (seconds > 0) this.#server.reactor.deadlines.set(this, this.#due);
  }

  #isDue(): boolean {
    return this.#due <= performance.now();
  }

  get #left(): number {
    return (this.#due - performance.now()) / 1000;
  }
}

function cutOff(seconds: number): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_SERVER_CLOSED',
    `the server was closed, and its handlers had ${seconds} seconds to finish: raise closeTimeout` +
      ' or the deadline of the drain',
  );
}
