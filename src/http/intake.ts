import { Blocks } from '../io/blocks.ts';
import { type InputSource, InputStream } from '../io/inputstream.ts';
import { Spool } from '../io/spool.ts';
import { Pace, type PaceRules } from '../reactor/pace.ts';
import type { StreamSocket } from '../reactor/streamsocket.ts';
import { type BodyReader, type BodySink, ChunkedReader, LengthReader } from './body.ts';
import type { RequestHead } from './head.ts';
import { toPairs } from './headers.ts';
import { HTTPError } from './httperror.ts';
import type { Limits } from './limits.ts';

/** What the body of a request needs of its connection. */
export interface IntakeOwner {
  readonly socket: StreamSocket;
  /** The application waits for the body, and the client for `100 Continue`. */
  continueWanted(): void;
  /** The deadline has changed. */
  reschedule(): void;
}

/** How bodies are taken in. */
export interface IntakeSettings {
  readonly limits: Limits;
  readonly inputBuffering: InputBuffering;
  readonly bodyPace: PaceRules;
}

/** Whether a request is answered while its body arrives, or when all of it has. */
export type InputBuffering = 'stream' | 'buffer';

/**
 * The body of one request on its way in: from the framing to the input of the application, held back
 * when nobody reads, timed while the client has to send, dropped when it is no longer wanted.
 */
export class Intake implements BodySink, InputSource {
  readonly input: InputStream;
  /** The application has waited for the body. */
  wanted = false;
  /** The client waits for `100 Continue`. */
  continueOwed: boolean;
  readonly #owner: IntakeOwner;
  readonly #reader: BodyReader;
  readonly #spool: Spool | null;
  /** Where bytes are kept. */
  readonly #store: Blocks | Spool;
  readonly #pace: Pace;
  /** Bytes that may still be dropped; -1: they are not dropped. */
  #droppable = -1;
  #overdrawn = false;
  #broken = false;

  constructor(head: RequestHead, owner: IntakeOwner, settings: IntakeSettings) {
    const { limits } = settings;
    this.#owner = owner;
    this.#reader = head.chunked ? new ChunkedReader(limits) : new LengthReader(head.contentLength);
    this.#spool = settings.inputBuffering === 'buffer' ? new Spool(limits.bodyMemoryBytes) : null;
    this.input = this.#spool?.input ?? new InputStream(this);
    this.#store = this.#spool ?? new Blocks(this.input);
    this.continueOwed = head.expectContinue;
    const { now } = owner.socket;
    this.#pace = new Pace(settings.bodyPace, now);
    if (this.continueOwed) this.#pace.pause(now);
  }

  /** When the client will have been too slow; `Infinity` while it is not the one to act. */
  get deadline(): number {
    return this.done ? Infinity : this.#pace.deadline;
  }

  /** Bytes that are known to be still to come. */
  get owed(): number {
    return this.#reader instanceof LengthReader ? this.#reader.remaining : 0;
  }

  /** Whether nothing more of the body is taken: it is complete, or broken off. */
  get done(): boolean {
    return this.#reader.done || this.#broken;
  }

  /** Whether more had to be dropped than is allowed. */
  get overdrawn(): boolean {
    return this.#overdrawn;
  }

  /**
   * Takes what belongs to the body from `start..end` and returns how many bytes that was.
   *
   * @throws HTTPError as `ChunkedReader`; 503 `ERR_RYEGATE_BODY_BUFFER` when it cannot be kept
   */
  feed(bytes: Buffer, start: number, end: number): number {
    this.#toldToContinue();
    const taken = this.#reader.feed(bytes, start, end, this);
    if (this.#reader.done) this.#end();
    else this.#pace.progress(this.#owner.socket.now, taken);
    return taken;
  }

  #end(): void {
    const trailers = this.#reader instanceof ChunkedReader ? toPairs(this.#reader.trailers) : [];
    if (this.#spool === null) this.input.end(trailers);
    else this.#spool.end(trailers);
  }

  bodyData(bytes: Buffer, start: number, end: number): void {
    if (this.#droppable !== -1) {
      this.#droppable -= end - start;
      if (this.#droppable < 0) {
        this.#droppable = 0;
        this.#overdrawn = true;
      }
    } else {
      this.#keep(bytes, start, end);
    }
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    try {
      this.#store.push(bytes, start, end, this.owed);
    } catch (error) {
      throw new HTTPError(
        503,
        'ERR_RYEGATE_BODY_BUFFER',
        'The server has no room to keep the body of the request: try again later.',
        { cause: error },
      );
    }
  }

  /** What is still to come is not wanted: at most `most` bytes of it are read and dropped. */
  drop(most: number): void {
    this.#droppable = most;
    this.#resumePace();
  }

  /** Nothing more of the body is taken; reads of it fail for `reason`. */
  break(reason: () => Error): void {
    this.#broken = true;
    this.close(reason);
  }

  /** Gives the body back; reads fail for `reason`, unless all of it waits in memory. */
  close(reason: () => Error): void {
    if (this.#spool !== null) this.#spool.close(reason);
    else if (!this.#reader.done) this.input.fail(reason());
  }

  // What the input asks for.

  pause(): void {
    this.#owner.socket.pause();
    this.#pace.pause(this.#owner.socket.now);
    this.#owner.reschedule();
  }

  resume(): void {
    this.#owner.socket.resume();
    if (!this.continueOwed) this.#resumePace();
  }

  /** The application waits for the body, so the client may send it; RFC 9110 section 10.1.1. */
  demand(): void {
    this.wanted = true;
    if (!this.continueOwed) return;
    this.#toldToContinue();
    this.#owner.continueWanted();
  }

  /** The client sends, whether it was told to or got tired of waiting. */
  #toldToContinue(): void {
    if (!this.continueOwed) return;
    this.continueOwed = false;
    this.#resumePace();
  }

  #resumePace(): void {
    this.#pace.resume(this.#owner.socket.now);
    this.#owner.reschedule();
  }
}
