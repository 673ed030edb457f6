import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { BenchError } from './processes.ts';

/** An answer as it came. */
export interface Answer {
  readonly status: number;
  /** Its media type, without parameters. */
  readonly type: string;
  readonly body: Buffer;
  /** Head and framing included. */
  readonly bytes: Buffer;
  /** Whether the connection stays open after it (RFC 9112, section 9.3). */
  readonly persistent: boolean;
}

/** What every server has to answer, whatever other fields it sends. */
export interface Expected {
  readonly type: string;
  /** Bytes of the body. */
  readonly bytes: number;
  /** Of the body, in hexadecimal. */
  readonly sha256: string;
}

/** Milliseconds in which something has to come. */
const PATIENCE = 10_000;

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

class Head {
  readonly status: number;
  readonly #version: string;
  readonly #fields: Map<string, string>;

  constructor(text: string) {
    const [statusLine = '', ...lines] = text.split('\r\n');
    const [, version, status] = /^HTTP\/(1\.[01]) (\d{3})/.exec(statusLine) ?? [];
    if (version === undefined) throw new BenchError(`no HTTP answer: ${statusLine}`);
    this.#version = version;
    this.status = Number(status);
    this.#fields = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
  }

  field(name: string): string {
    return this.#fields.get(name)?.toLowerCase() ?? '';
  }

  get length(): number | null {
    const length = this.field('content-length');
    return length === '' ? null : Number(length);
  }

  get persistent(): boolean {
    const connection = this.field('connection');
    return this.#version === '1.1' ? connection !== 'close' : connection === 'keep-alive';
  }
}

interface Body {
  readonly body: Buffer;
  readonly end: number;
}

/** The body in chunks from `start` on (RFC 9112, section 7.1), or null when more is to come. */
function dechunk(bytes: Buffer, start: number): Body | null {
  const chunks: Buffer[] = [];
  for (let from = start; ; ) {
    const line = bytes.indexOf('\r\n', from);
    if (line === -1) return null;
    const size = Number.parseInt(bytes.toString('latin1', from, line), 16);
    if (size === 0) {
      const end = bytes.indexOf('\r\n\r\n', line);
      return end === -1 ? null : { body: Buffer.concat(chunks), end: end + 4 };
    }
    chunks.push(bytes.subarray(line + 2, line + 2 + size));
    from = line + 2 + size + 2;
    if (!(from <= bytes.length)) return null;
  }
}

/** The body from `start` on, or how many bytes there have to be for another try. */
function findBody(head: Head, bytes: Buffer, start: number, ended: boolean): Body | number {
  if (head.field('transfer-encoding') === 'chunked') {
    return dechunk(bytes, start) ?? bytes.length + 1;
  }
  if (head.length === null && !ended) return bytes.length + 1;
  const end = head.length === null ? bytes.length : start + head.length;
  return bytes.length < end ? end : { body: bytes.subarray(start, end), end };
}

/** The first answer in `bytes`, or how many bytes there have to be for another try. */
function parse(bytes: Buffer, ended: boolean): Answer | number {
  const blank = bytes.indexOf('\r\n\r\n');
  if (blank === -1) return bytes.length + 1;
  const head = new Head(bytes.toString('latin1', 0, blank));
  const found = findBody(head, bytes, blank + 4, ended);
  if (typeof found === 'number') return found;
  const [type = ''] = head.field('content-type').split(';');
  return {
    status: head.status,
    type: type.trim(),
    body: found.body,
    bytes: bytes.subarray(0, found.end),
    persistent: head.persistent && (head.length !== null || head.field('transfer-encoding') !== ''),
  };
}

/** Sends `count` times the same request at once, over a connection of its own. */
export async function ask(port: number, request: Buffer, count = 1): Promise<Answer[]> {
  const socket = connect(port, '127.0.0.1');
  socket.setTimeout(PATIENCE, () => socket.destroy(new BenchError('no answer in 10 seconds')));
  socket.write(Buffer.concat(Array.from({ length: count }, () => request)));
  const answers: Answer[] = [];
  let pieces: Buffer[] = [];
  let length = 0;
  let needed = 1;
  const take = (ended: boolean): void => {
    let bytes = Buffer.concat(pieces);
    while (bytes.length > 0 && answers.length < count) {
      const found = parse(bytes, ended);
      needed = typeof found === 'number' ? found : 1;
      if (typeof found === 'number') break;
      answers.push(found);
      bytes = bytes.subarray(found.bytes.length);
    }
    pieces = [bytes];
    length = bytes.length;
  };
  for await (const piece of socket as AsyncIterable<Buffer>) {
    pieces.push(piece);
    length += piece.length;
    if (length >= needed) take(false);
    if (answers.length === count) return answers;
  }
  take(true);
  if (answers.length === count) return answers;
  throw new BenchError(`the connection ended after ${answers.length} of ${count} answers`);
}

function check(server: string, { status, type, body }: Answer, expected: Expected): void {
  const pairs = [
    [`status ${status}`, 'status 200'],
    [`Content-Type ${type}`, `Content-Type ${expected.type}`],
    [`${body.length} bytes`, `${expected.bytes} bytes`],
    [`SHA-256 ${sha256(body)}`, `SHA-256 ${expected.sha256}`],
  ] as const;
  const wrong = pairs.find(([found, wanted]) => found !== wanted);
  if (wrong) throw new BenchError(`${server} answers with ${wrong[0]}, expected ${wrong[1]}`);
}

/**
 * The answer of a server to a request. Fails unless it is as expected each time, and as long each
 * time: the load generator counts bytes only.
 */
export async function checkedAnswer(
  server: string,
  port: number,
  request: Buffer,
  count: number,
  expected: Expected,
): Promise<Answer> {
  const answers = [...(await ask(port, request)), ...(await ask(port, request, count))];
  for (const answer of answers) check(server, answer, expected);
  const lengths = new Set(answers.map((answer) => answer.bytes.length));
  if (lengths.size === 1) return answers[0] as Answer;
  throw new BenchError(`${server} answers with ${[...lengths].join(' and ')} bytes in turn`);
}
