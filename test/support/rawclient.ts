import { connect, type Socket } from 'node:net';
import type { ServerAddress } from '../../src/index.ts';

/** How long anything may take before a test fails, in milliseconds. */
const PATIENCE = 10_000;

/** One response as it came over the wire. */
export interface RawResponse {
  status: number;
  reason: string;
  /** Names and values in the order sent. */
  fields: [name: string, value: string][];
  body: Buffer;
  /** How the end of the body was told. */
  framing: 'none' | 'length' | 'chunked' | 'close';
  /** Sizes of the chunks of a chunked body. */
  chunks: number[];
}

/** The value of a field, undefined without one; the values of a repeated one joined by '|'. */
export function field(response: RawResponse, name: string): string | undefined {
  const values = response.fields
    .filter(([key]) => key.toLowerCase() === name.toLowerCase())
    .map(([, value]) => value);
  return values.length === 0 ? undefined : values.join('|');
}

export function text(response: RawResponse): string {
  return response.body.toString();
}

interface Parsed {
  response: RawResponse;
  /** Bytes that it takes. */
  size: number;
}

const STATUS_LINE = /^HTTP\/1\.1 ([1-9][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)$/;
const FIELD_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t\x20-\x7e\x80-\xff]*)$/;

/**
 * Parses one response strictly: anything but what RFC 9112 has a server send throws. Null when
 * bytes are missing.
 */
export function parseResponse(bytes: Buffer, method: string, eof: boolean): Parsed | null {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const status = STATUS_LINE.exec(statusLine);
  if (status === null) throw new Error(`no status line: ${JSON.stringify(statusLine)}`);
  const fields = lines.map((line): [string, string] => {
    const match = FIELD_LINE.exec(line);
    if (match === null) throw new Error(`no field line: ${JSON.stringify(line)}`);
    return [match[1] as string, match[2] as string];
  });
  const response: RawResponse = {
    status: Number(status[1]),
    reason: status[2] as string,
    fields,
    body: Buffer.alloc(0),
    framing: 'none',
    chunks: [],
  };
  const size = parseBody(bytes, end + 4, response, method, eof);
  return size === null ? null : { response, size };
}

/** Returns where the response ends; null when bytes are missing. */
function parseBody(
  bytes: Buffer,
  start: number,
  response: RawResponse,
  method: string,
  eof: boolean,
): number | null {
  const { status } = response;
  const length = field(response, 'Content-Length');
  const coding = field(response, 'Transfer-Encoding');
  if (length !== undefined && !/^(0|[1-9][0-9]*)$/.test(length)) {
    throw new Error(`Content-Length: ${length}`);
  }
  if (coding !== undefined && (coding !== 'chunked' || length !== undefined)) {
    throw new Error(`Transfer-Encoding: ${coding}, Content-Length: ${length}`);
  }
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return start;
  if (coding !== undefined) return parseChunks(bytes, start, response);
  response.framing = length === undefined ? 'close' : 'length';
  if (length === undefined && !eof) return null;
  const end = length === undefined ? bytes.length : start + Number(length);
  if (end > bytes.length) return null;
  response.body = Buffer.from(bytes.subarray(start, end));
  return end;
}

function parseChunks(bytes: Buffer, start: number, response: RawResponse): number | null {
  const pieces: Buffer[] = [];
  response.framing = 'chunked';
  response.chunks = [];
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return null;
    const line = bytes.toString('latin1', at, lineEnd);
    if (!/^(0|[1-9a-f][0-9a-f]*)$/.test(line)) throw new Error(`chunk size ${line}`);
    const size = Number.parseInt(line, 16);
    const next = lineEnd + 2 + size + 2;
    if (next > bytes.length) return null;
    if (bytes.toString('latin1', next - 2, next) !== '\r\n')
      throw new Error('no CRLF after a chunk');
    at = next;
    if (size === 0) {
      response.body = Buffer.concat(pieces);
      return at;
    }
    response.chunks.push(size);
    pieces.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
  }
}

/** How the connection came to its end. */
export type Ending = 'fin' | 'reset';

/** A client that sends what it is given and takes responses apart by hand. */
export class RawClient {
  readonly socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #used = 0;
  #ending: Ending | null = null;
  #wake: () => void = () => {};

  /** `socket`: connected, or about to be. */
  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => this.#append(chunk));
    socket.on('end', () => this.#end('fin'));
    socket.on('error', () => this.#end('reset'));
    socket.on('close', () => this.#end('fin'));
  }

  static async connect(address: ServerAddress): Promise<RawClient> {
    const options = { allowHalfOpen: true, noDelay: true };
    const socket =
      typeof address === 'string'
        ? connect({ ...options, path: address })
        : connect({ ...options, host: address[0], port: address[1] });
    const client = new RawClient(socket);
    await bounded(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', () => resolve());
        socket.once('error', reject);
      }),
      'the connection',
    );
    return client;
  }

  /** Bytes received and not taken. */
  get pending(): Buffer {
    return this.#bytes.subarray(0, this.#used);
  }

  /** Whether and how the server has ended the connection. */
  get ending(): Ending | null {
    return this.#ending;
  }

  #append(chunk: Buffer): void {
    if (this.#used + chunk.length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(2 * (this.#used + chunk.length));
      this.pending.copy(larger);
      this.#bytes = larger;
    }
    chunk.copy(this.#bytes, this.#used);
    this.#used += chunk.length;
    this.#wake();
  }

  #end(ending: Ending): void {
    this.#ending ??= ending;
    this.#wake();
  }

  /** Strings are sent as Latin-1. Resolves when the kernel has taken all. */
  send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
    const sent = new Promise<void>((resolve) => {
      this.socket.write(bytes, () => resolve());
    });
    return bounded(sent, `sending ${bytes.length} bytes`);
  }

  /** Finishes sending, and goes on receiving. */
  halfClose(): void {
    this.socket.end();
  }

  /** Closes by a reset, as a client that crashes; a unix socket knows no reset and just closes. */
  reset(): void {
    if (this.socket.remoteFamily === undefined) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** The next response, interim ones included; `method` is that of its request. */
  async response(method = 'GET'): Promise<RawResponse> {
    const parsed = await this.#until(() =>
      parseResponse(this.pending, method, this.#ending !== null),
    );
    this.#take(parsed.size);
    return parsed.response;
  }

  #take(size: number): void {
    this.#bytes.copyWithin(0, size, this.#used);
    this.#used -= size;
  }

  /** Resolves when at least `count` bytes have come that were not taken. */
  async received(count: number): Promise<void> {
    await this.#until(() => (this.#used >= count ? true : null));
  }

  /** What comes until the server ends the connection. */
  async rest(): Promise<Buffer> {
    await bounded(this.#ended(), 'the end of the connection');
    const rest = Buffer.from(this.pending);
    this.#take(this.#used);
    return rest;
  }

  /** Resolves when the server has ended the connection; says how. */
  async ended(): Promise<Ending> {
    await bounded(this.#ended(), 'the end of the connection');
    return this.#ending as Ending;
  }

  async #ended(): Promise<void> {
    while (this.#ending === null) await this.#more();
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async #until<T>(attempt: () => T | null): Promise<T> {
    const search = async (): Promise<T> => {
      for (;;) {
        const found = attempt();
        if (found !== null) return found;
        if (this.#ending !== null) throw new Error(`the connection ended after ${this.#shown()}`);
        await this.#more();
      }
    };
    return bounded(search(), () => `more than ${this.#shown()}`);
  }

  #shown(): string {
    return `${this.#used} bytes: ${JSON.stringify(this.pending.toString('latin1', 0, 300))}`;
  }
}

/** Fails a wait that lasts too long. */
export async function bounded<T>(
  wait: Promise<T>,
  what: string | (() => string),
  milliseconds: number = PATIENCE,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const shown = typeof what === 'string' ? what : what();
      reject(new Error(`waited ${milliseconds} ms for ${shown}`));
    }, milliseconds);
  });
  try {
    return await Promise.race([wait, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves when `condition` holds, which is asked in every round of Node's loop. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${PATIENCE} ms until ${what}`);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
