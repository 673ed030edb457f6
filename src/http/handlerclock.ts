import type { HTTPRequest } from './request.ts';

/** Tells when a handler has neither read nor sent anything, nor waited for its client, for too long. */
export class HandlerClock {
  /** Monotonic milliseconds. */
  due: number = Infinity;
  readonly #seconds: number;
  /** What had been read and sent when `due` was set. */
  #moved = 0;

  /** `seconds`: `Infinity` is no limit. */
  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  start(now: number): void {
    this.#moved = 0;
    this.#restart(now);
  }

  /** What kept the handler waiting has gone: it gets as long again. */
  drained(now: number): void {
    if (this.due !== Infinity) this.#restart(now);
  }

  stop(): void {
    this.due = Infinity;
  }

  /** Whether it is late now. One that has moved gets as long again. */
  isLate(request: HTTPRequest, now: number): boolean {
    const { response, body } = request;
    const { socket } = request.connection;
    const moved = body.bytesRead + response.bytesSent + (response.headSent ? 1 : 0);
    const clientWaited = body.waiting || socket.buffered > 0 || socket.drainDue;
    if (moved === this.#moved && !clientWaited) return true;
    this.#moved = moved;
    this.#restart(now);
    return false;
  }

  #restart(now: number): void {
    this.due = now + this.#seconds * 1000;
  }
}
