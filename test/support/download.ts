import { connect } from 'node:net';
import type { ServerAddress } from '../../src/index.ts';
import { bounded, field, parseResponse, type RawResponse } from './rawclient.ts';
import { target } from './servers.ts';

const HEAD_END = '\r\n\r\n';

/** Takes one response apart as it comes, and hands its body on. */
export class BodySplitter {
  readonly #take: (bytes: Buffer) => void;
  #head: Buffer = Buffer.alloc(0);
  /** The response without its body, once the head is there. */
  response: RawResponse | null = null;
  /** Bytes of the body so far. */
  size = 0;

  constructor(take: (bytes: Buffer) => void) {
    this.#take = take;
  }

  /** The Content-Length; -1 before the head is there. */
  get length(): number {
    return this.response === null ? -1 : Number(field(this.response, 'Content-Length'));
  }

  /** Whether the body is there in full length. */
  get complete(): boolean {
    return this.size === this.length;
  }

  take(bytes: Buffer): void {
    if (this.response !== null) {
      this.size += bytes.length;
      this.#take(bytes);
      return;
    }
    this.#head = Buffer.concat([this.#head, bytes]);
    const end = this.#head.indexOf(HEAD_END);
    if (end < 0) return;
    const start = end + HEAD_END.length;
    this.response = parseResponse(this.#head.subarray(0, start), 'HEAD', false)?.response ?? null;
    this.take(this.#head.subarray(start));
  }
}

/**
 * Sends `request`, after which the server has to end the connection, and gives the body to `take`,
 * in pieces that are kept by nobody. Resolves with the head of the response.
 */
export async function download(
  address: ServerAddress,
  request: string,
  take: (bytes: Buffer) => void,
  milliseconds: number,
): Promise<RawResponse> {
  const splitter = new BodySplitter(take);
  const socket = connect({
    ...target(address),
    onread: {
      buffer: Buffer.allocUnsafe(256 * 1024),
      callback: (count, buffer) => {
        splitter.take(Buffer.from(buffer.buffer, buffer.byteOffset, count));
        return true;
      },
    },
  });
  const over = new Promise<void>((resolve, reject) => {
    socket.once('end', resolve).once('error', reject);
  });
  try {
    socket.write(request);
    await bounded(over, () => `the rest after ${splitter.size} bytes`, milliseconds);
  } finally {
    socket.destroy();
  }
  const { response, size, length } = splitter;
  if (response === null) throw new Error('the connection ended without a response');
  if (!splitter.complete) throw new Error(`${size} bytes of ${length} came`);
  return response;
}
