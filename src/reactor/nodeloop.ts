import { monotonic } from '../clock.ts';
import { SystemCallError } from '../errors.ts';
import { toMilliseconds } from '../milliseconds.ts';
import { construct, FLUSH_AGAIN, type NativeLoopHook, TURN_FIRST, UNHARVESTED } from '../native.ts';
import type { Harvester } from './harvester.ts';
import type { Reactor } from './reactor.ts';
import { callActions, type Serving } from './serving.ts';

/**
 * Has Node's loop make the turns of a reactor, beside everything else there: a hook calls when
 * something is ready, timers for deadlines and actions.
 */
export class NodeLoop {
  readonly #reactor: Reactor;
  readonly #harvester: Harvester;
  #hook: NativeLoopHook | null = null;
  #serving: Serving | null = null;
  #settle: { resolve: () => void; reject: (error: unknown) => void } | null = null;
  #actionsTimer: NodeJS.Timeout | undefined;
  #sweepTimer: NodeJS.Timeout | undefined;
  /** Deadlines have passed, which are looked at behind the turn that was asked for. */
  #sweepDue = false;
  #heard = false;

  constructor(reactor: Reactor, harvester: Harvester) {
    this.#reactor = reactor;
    this.#harvester = harvester;
  }

  get serving(): boolean {
    return this.#serving !== null;
  }

  run(serving: Serving): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#serving = serving;
      this.#settle = { resolve, reject };
      try {
        this.#hook ??= this.#makeHook();
        const failure = this.#hook.start();
        if (failure < 0) throw new SystemCallError(failure, 'uv_poll_start', 'the loop refused');
      } catch (error) {
        this.#end({ error });
        return;
      }
      if (serving.actions !== null) {
        const act = (): void => this.#act();
        this.#actionsTimer = setInterval(act, toMilliseconds(serving.pollInterval));
      }
      this.schedule(this.#reactor.deadlines.next);
      if (serving.done()) this.#end();
    });
  }

  #makeHook(): NativeLoopHook {
    const turn = (count: number): void => this.#turn(count);
    const flush = (): number => this.#flush();
    return construct(() => this.#harvester.hook(turn, flush), 'the loop cannot watch the selector');
  }

  #turn(count: number): void {
    if (this.#serving === null) return;
    const reactor = this.#reactor;
    if (count === UNHARVESTED && reactor.serveAhead(reactor.ahead.whenReady)) return;
    try {
      reactor.harvest(() => this.#harvester.harvest(count));
    } catch (error) {
      this.#end({ error });
      return;
    }
    reactor.serve();
    if (this.#heard) this.#sweep();
  }

  /** The reactor was woken: what came before is received in this turn. */
  woken(): void {
    this.#heard = this.#sweepDue;
  }

  /** How to go on, in the addon's terms. */
  #flush(): number {
    const reactor = this.#reactor;
    reactor.flush();
    this.#act();
    this.endIfDone();
    if (this.#serving === null) return 0;
    if (reactor.serveAtOnce()) return FLUSH_AGAIN;
    return reactor.ahead.mayFollow(reactor.ahead.whenReady) ? TURN_FIRST : 0;
  }

  #act(): void {
    const serving = this.#serving;
    if (serving === null) return;
    try {
      callActions(serving);
    } catch (error) {
      this.#end({ error });
    }
  }

  endIfDone(): void {
    if (this.#serving?.done()) this.#end();
  }

  #end(failure: { error: unknown } | null = null): void {
    const settle = this.#settle;
    this.#hook?.stop();
    clearInterval(this.#actionsTimer);
    clearTimeout(this.#sweepTimer);
    this.#serving = null;
    this.#settle = null;
    if (failure === null) settle?.resolve();
    else settle?.reject(failure.error);
  }

  /** The next sweep of the deadlines is due at `when`. */
  schedule(when: number): void {
    clearTimeout(this.#sweepTimer);
    if (when === Infinity || this.#serving === null) return;
    // Timers may be a part of a millisecond early, and what is not due then waits for another sweep.
    const delay = toMilliseconds((when - performance.now() + 1) / 1000);
    this.#sweepTimer = setTimeout(() => this.#sweepSoon(), delay);
  }

  /** Timers come first after a handler that blocked: what clients sent meanwhile is heard before. */
  #sweepSoon(): void {
    this.#sweepDue = true;
    this.#reactor.waker.wake();
  }

  #sweep(): void {
    this.#sweepDue = false;
    this.#heard = false;
    this.#reactor.deadlines.sweep(monotonic());
  }

  /** Gives back the hook. */
  close(): void {
    clearTimeout(this.#sweepTimer);
    this.#hook?.close();
  }
}
