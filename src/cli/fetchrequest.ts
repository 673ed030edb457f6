import { createReadStream, fstatSync, openSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { HTTPConnection } from '../http/connection.ts';
import { parseHead, RequestHead } from '../http/head.ts';
import { resolveLimits } from '../http/limits.ts';
import { HTTPRequest } from '../http/request.ts';
import { type InputSource, InputStream } from '../io/inputstream.ts';
import { Spool } from '../io/spool.ts';
import { VERSION } from '../version.ts';
import { ConfigError } from './configerror.ts';
import type { FetchOptions } from './fetchoptions.ts';

/** A body before it is read. */
interface Body {
  readonly stream: Readable | null;
  readonly text: Buffer;
  /** Bytes; -1 if that is not known. */
  readonly size: number;
}

const NO_BYTES: Buffer = Buffer.alloc(0);

function openBody(data: string): Body {
  if (!data.startsWith('@')) {
    const text = Buffer.from(data);
    return { stream: null, text, size: text.length };
  }
  if (data === '@-') return { stream: process.stdin, text: NO_BYTES, size: -1 };
  const file = data.slice(1);
  try {
    const fd = openSync(file, 'r');
    const stats = fstatSync(fd);
    const size = stats.isFile() ? stats.size : -1;
    // No more than was announced, should it grow.
    const end = size > 0 ? size - 1 : Infinity;
    return { stream: createReadStream(file, { fd, end }), text: NO_BYTES, size };
  } catch (error) {
    throw new ConfigError(`--data ${data}: the file cannot be read: ${(error as Error).message}`);
  }
}

/** The head as a client would send it. */
function renderRequest(options: FetchOptions, body: Body | null): Buffer {
  const { path, header } = options;
  const names = header.map((line) => line.slice(0, line.indexOf(':')).toLowerCase());
  const lines = [`${methodOf(options)} ${path} HTTP/1.1`];
  const addUnlessGiven = (name: string, value: string): void => {
    if (!names.includes(name.toLowerCase())) lines.push(`${name}: ${value}`);
  };
  addUnlessGiven('Host', authorityOf(options));
  addUnlessGiven('User-Agent', `ryegate/${VERSION}`);
  addUnlessGiven('Accept', '*/*');
  if (body !== null) addUnlessGiven('Content-Type', 'application/x-www-form-urlencoded');
  lines.push(...header);
  if (body !== null) {
    lines.push(body.size < 0 ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.size}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

function methodOf({ request, data }: FetchOptions): string {
  return request ?? (data === null ? 'GET' : 'POST');
}

/** Where the server would be: its first address. */
export function addressOf({ bind }: Pick<FetchOptions, 'bind'>): { host: string; port: number } {
  const [first] = bind;
  if (first?.kind !== 'inet') return { host: 'localhost', port: 80 };
  return { host: first.host === '' ? '127.0.0.1' : first.host, port: first.port };
}

function authorityOf(options: FetchOptions): string {
  const { host, port } = addressOf(options);
  return `${host.includes(':') ? `[${host}]` : host}${port === 80 ? '' : `:${port}`}`;
}

/** Stops and goes on as its reader does. */
class StreamSource implements InputSource {
  readonly #stream: Readable;

  constructor(stream: Readable) {
    this.#stream = stream;
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  demand(): void {}
}

function streamed(stream: Readable): InputStream {
  const input = new InputStream(new StreamSource(stream));
  stream.on('data', (chunk: Buffer) => input.push(chunk));
  stream.on('end', () => input.end());
  stream.on('error', (error) => input.fail(error));
  return input;
}

/** All of it, so that it can be read synchronously. */
async function buffered(body: Body, memory: number): Promise<InputStream> {
  const spool = new Spool(memory);
  if (body.stream === null) spool.push(body.text);
  else for await (const chunk of body.stream) spool.push(chunk as Buffer);
  spool.end([]);
  return spool.input;
}

/**
 * The request that the options describe, read by the parser of the server; it lacks a response.
 *
 * @throws HTTPError for what a server would refuse; ConfigError when a file cannot be read
 */
export async function makeRequest(options: FetchOptions): Promise<HTTPRequest> {
  const body = options.data === null ? null : openBody(options.data);
  const limits = resolveLimits(options.limits);
  const bytes = renderRequest(options, body);
  const head = new RequestHead();
  parseHead(bytes, 0, bytes.length, limits, head);
  // All that a gateway asks of the connection.
  const connection = { socket: { blocking: false } } as HTTPConnection;
  const request = new HTTPRequest(connection, head);
  if (body === null) return request;
  const isStreamed = body.stream !== null && options.inputBuffering === 'stream';
  request.body = isStreamed
    ? streamed(body.stream as Readable)
    : await buffered(body, limits.bodyMemoryBytes);
  return request;
}
