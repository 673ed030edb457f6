import type { Control } from '../reactor/control.ts';
import {
  Drain,
  type DrainedServer,
  type DrainSettings,
  type DrainSummary,
} from '../reactor/drain.ts';
import { attempt } from '../thenable.ts';

/** What a server does for its closing. */
export interface Closable extends DrainedServer {
  readonly control: Control;
  /** Whether somebody serves, who asks `step()` after every turn. */
  isServing(): boolean;
  /** Serves until `done()`, without accepting. */
  serveUntil(done: () => boolean): Promise<void>;
}

/** A server's way out of service, which is gone once. */
export class Closing {
  readonly #server: Closable;
  #drain: Drain | null = null;
  #drained: Promise<DrainSummary> | null = null;

  constructor(server: Closable) {
    this.#server = server;
  }

  get begun(): boolean {
    return this.#drained !== null;
  }

  /** Whether a serving has to end for it. */
  step(): boolean {
    return this.#drain?.step() ?? false;
  }

  /** Begins, unless it has begun. */
  begin(settings: DrainSettings): Promise<DrainSummary> {
    if (this.#drained !== null) return this.#drained;
    let close = (): void => {};
    this.#drained = new Promise((resolve) => {
      close = () => resolve(this.#close(settings));
    });
    // It tells of itself already, and has begun for whoever is told.
    close();
    return this.#drained;
  }

  /** What was begun has `deadline` seconds from now on, if it has more. */
  hurry(deadline: number): void {
    this.#drain?.hurry(deadline);
  }

  async #close(settings: DrainSettings): Promise<DrainSummary> {
    const { control, reactor } = this.#server;
    const progress: DrainSettings['progress'] = (event) => {
      control.tell(event);
      return settings.progress(event);
    };
    const drain = new Drain(this.#server, { ...settings, progress });
    this.#drain = drain;
    try {
      drain.begin();
      while (!drain.over) {
        if (this.#server.isServing()) {
          await control.wait();
          continue;
        }
        drain.endDelay();
        if (!drain.step()) await this.#server.serveUntil(() => drain.step());
      }
    } catch (error) {
      // Nothing can be waited for; what is left to do is to close.
      this.#server.logError(error);
    } finally {
      attempt(
        () => this.#server.closeListener(),
        (error) => this.#server.logError(error),
      );
      reactor.close();
    }
    return drain.summary;
  }
}
