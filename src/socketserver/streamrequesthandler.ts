import { RyegateError } from '../errors.ts';
import { InputStream } from '../io/inputstream.ts';
import type { Protocol } from '../reactor/protocol.ts';
import { DEFAULT_SOCKET_SETTINGS, type SocketSettings } from '../reactor/socketsettings.ts';
import type { StreamSocket } from '../reactor/streamsocket.ts';
import { BaseRequestHandler } from './baserequesthandler.ts';
import { SocketWriter } from './socketwriter.ts';

/**
 * `socketserver.StreamRequestHandler`: `rfile` reads from the client, `wfile` writes to it, both with
 * backpressure. Reading is a promise, so a `handle()` that reads is async and works under
 * `serveForever()` only.
 */
export class StreamRequestHandler extends BaseRequestHandler {
  /** Seconds that one read, or what was written, may wait for the client; null is no limit. */
  static timeout: number | null = null;

  readonly timeout: number | null = (this.constructor as typeof StreamRequestHandler).timeout;
  declare rfile: InputStream;
  declare wfile: SocketWriter;

  /** `request` under socketserver's name for it in stream handlers. */
  get connection(): StreamSocket {
    return this.request;
  }

  override setup(): void {
    const protocol = new StreamProtocol(this.request, this.timeout);
    this.rfile = protocol.rfile;
    this.wfile = protocol.wfile;
    this.request.attach(protocol, protocol.settings);
  }
}

/** Feeds the two files of a stream handler. */
class StreamProtocol implements Protocol {
  readonly rfile: InputStream;
  readonly wfile: SocketWriter;
  readonly settings: SocketSettings;
  readonly #timeout: number | null;

  constructor(request: StreamSocket, timeout: number | null) {
    this.#timeout = timeout;
    const write = timeout === null ? null : { silence: timeout, grace: timeout, rate: 0 };
    this.settings = { ...DEFAULT_SOCKET_SETTINGS, write };
    this.wfile = new SocketWriter(request);
    this.rfile = new InputStream({
      pause: () => request.pause(),
      resume: () => request.resume(),
      demand: () => {
        if (timeout !== null) request.setDeadline(request.now + timeout * 1000);
      },
    });
  }

  dataReceived(bytes: Buffer, start: number, end: number): void {
    this.rfile.push(Buffer.from(bytes.subarray(start, end)));
  }

  eofReceived(): void {
    this.rfile.end();
  }

  drained(): void {
    this.wfile.drained();
  }

  /** A deadline is not taken back when bytes come: it counts only while a read still waits. */
  deadlinePassed(): void {
    if (!this.rfile.waiting) return;
    this.rfile.fail(
      new RyegateError(
        'ERR_RYEGATE_TIMEOUT',
        `the client sent nothing for ${this.#timeout} seconds: ` +
          "raise the handler's timeout if that is too short",
      ),
    );
  }

  /** What the client has begun is finished. */
  serverClosing(): void {}

  connectionLost(error: Error | null): void {
    if (error === null) this.rfile.end();
    else this.rfile.fail(error);
    this.wfile.lost(error);
  }
}
