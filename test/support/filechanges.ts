import { rmSync, utimesSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Random } from '../fuzz/random.ts';
import type { FileServer, FileServerState } from './fileservers.ts';
import { versionsIn, writeKnown, ZEROS } from './knownbytes.ts';
import { bounded, field, parseResponse } from './rawclient.ts';
import { target } from './servers.ts';

/** Several times what waits in small buffers, and no whole number of pages. */
const SIZE = 320 * 1024 + 40;

/** Writes the bytes that are needed to NAME.new; returns the changes as the server takes them. */
export type Change = (next: string, version: number, random: Random) => string;

/** Changes after which the bytes that were promised can no longer be had. */
export const BREAKING: Readonly<Record<string, Change>> = {
  cut: (_next, _version, random) => `truncate=${8 * random.below(SIZE / 8)}`,
  'cut and written anew': (next, version) => {
    writeKnown(next, version, SIZE);
    return 'truncate=0&write=0';
  },
  overwritten: (next, version) => {
    writeKnown(next, version, SIZE);
    return 'write=0';
  },
  'overwritten in part': (next, version, random) => {
    const start = 8 * random.below(SIZE / 8);
    const end = start + 8 + 8 * random.below((SIZE - start) / 8);
    writeKnown(next, version, end, start);
    return `write=${start}`;
  },
};

/** Changes of which a response that has begun must not notice anything. */
const HARMLESS: Readonly<Record<string, Change>> = {
  grown: (next, version, random) => {
    writeKnown(next, version, SIZE + 1 + random.below(SIZE), SIZE);
    return 'append';
  },
  replaced: (next, version, random) => {
    writeKnown(next, version, random.chance(50) ? SIZE : random.below(2 * SIZE));
    return 'rename';
  },
  deleted: () => 'unlink',
};

const CHANGES: Readonly<Record<string, Change>> = { ...BREAKING, ...HARMLESS };

/** A connection that takes no more than it is told to. */
class PacedClient {
  readonly #socket: Socket;
  readonly #pieces: Buffer[] = [];
  #size = 0;
  #ended = false;
  #wake = (): void => {};

  constructor(server: FileServer) {
    this.#socket = connect({ ...target(server.address), noDelay: true });
    this.#socket.on('readable', () => this.#wake());
    for (const event of ['end', 'close', 'error']) {
      this.#socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  send(text: string): void {
    this.#socket.write(text);
  }

  /** Reads until `count` bytes have come, or the connection has ended. */
  async read(count: number): Promise<void> {
    while (this.#size < count) {
      const piece: Buffer | null = this.#socket.read();
      if (piece !== null) {
        this.#pieces.push(piece);
        this.#size += piece.length;
      } else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** What the client got for a file. */
export interface Body {
  /** Of the body, in bytes, as far as it is known; -1 when there was no head. */
  length: number;
  bytes: Buffer;
  /** Whether what follows was there: the mark of the request. */
  followed: boolean;
  etag: string | undefined;
}

/** Takes apart what came: the file, or the beginning of it, and `mark`, or nothing else. */
function split(bytes: Buffer, mark: string): Body {
  const head = parseResponse(bytes, 'HEAD', false);
  const nothing = { length: -1, bytes: Buffer.alloc(0), etag: undefined };
  if (head === null) return { ...nothing, followed: false };
  const { status } = head.response;
  expect([200, 404, 500], bytes.toString('latin1', 0, 300)).toContain(status);
  const etag = field(head.response, 'ETag');
  const whole = parseResponse(bytes, 'GET', false);
  if (whole === null) {
    const length = Number(field(head.response, 'Content-Length'));
    return { length, bytes: bytes.subarray(head.size), followed: false, etag };
  }
  const rest = bytes.subarray(whole.size);
  const next = parseResponse(rest, 'GET', false);
  if (next === null) expect('HTTP/1.1 200 OK\r\n').toContain(rest.toString('latin1', 0, 17));
  else {
    expect(next.response.body.toString()).toBe(mark);
    expect(next.size).toBe(rest.length);
  }
  // The change was seen before anything had been sent.
  if (status === 500) return { ...nothing, followed: next !== null };
  if (status === 404) return { ...nothing, length: 0, followed: next !== null };
  const { body } = whole.response;
  return { length: body.length, bytes: body, followed: next !== null, etag };
}

/** One response whose file was changed. */
export interface Answer extends Body {
  id: number;
  change: string;
  /** Those of before and after the change. */
  versions: [old: number, young: number];
}

let count = 0;

function mark(id: number): string {
  return String(id % 10_000).padStart(4, '0');
}

/** Asks for a file, and for a mark behind it. */
function ask(server: FileServer, path: string, id: number): PacedClient {
  const client = new PacedClient(server);
  client.send(
    `GET ${path}?id=${id} HTTP/1.1\r\nHost: test\r\n\r\n` +
      `GET /mark/${mark(id)} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n`,
  );
  return client;
}

/** Where and by whom a file is changed. */
export interface Scene {
  readonly folder: string;
  readonly server: FileServer;
  /** Changes the files; the server itself, or another. */
  readonly changer: FileServer;
  /** `file` or `static`; see fileserver.mjs. */
  readonly page: string;
}

/**
 * Two clients get a file that is changed when one of them has got so much of it. Returns what they
 * got, and how it was with the changer before the change.
 */
export async function changeOnce(
  { folder, server, changer, page }: Scene,
  random: Random,
): Promise<{ answers: Answer[]; state: FileServerState }> {
  const old = 2 * ++count;
  const name = `changing-${old}`;
  const path = join(folder, name);
  const change = random.pick(Object.keys(CHANGES));
  writeKnown(path, old, SIZE);
  // So that no clock is too coarse to show the change.
  utimesSync(path, old, old);
  const changes = (CHANGES[change] as Change)(`${path}.new`, old + 1, random);
  const ids = [old, old + 1];
  const clients = ids.map((id) => ask(server, `/${page}/${name}`, id));
  const [first, second] = clients as [PacedClient, PacedClient];
  try {
    const other = second.read(Infinity);
    await first.read(random.pick([0, 1, random.below(SIZE)]));
    const state = await changer.change(name, changes);
    if (random.chance(50)) await sleep(random.below(5));
    await bounded(Promise.all([other, first.read(Infinity)]), 'both answers');
    const answers = clients.map((client, index): Answer => {
      const id = ids[index] as number;
      const body = split(client.bytes, `mark${mark(id)}`.repeat(16));
      return { ...body, id, change, versions: [old, old + 1] };
    });
    return { answers, state };
  } finally {
    for (const client of clients) client.destroy();
    for (const file of [path, `${path}.new`]) rmSync(file, { force: true });
  }
}

/** How far the server was with a response when its file was changed. */
export type Progress = 'unopened' | 'open' | 'sent';

export function progressOf(id: number, { results }: FileServerState): Progress {
  const times = results[id];
  if (times === undefined) return 'unopened';
  return times.closed === undefined ? 'open' : 'sent';
}

/** Says what became of a response. Throws for what must not be, however it came about. */
export function outcomeOf({ change, versions, length, bytes, followed }: Answer): string {
  const found = [...versionsIn(bytes, versions)];
  const isWhole = length >= 0 && bytes.length === length;
  if (!isWhole || !followed) expect(Object.keys(BREAKING)).toContain(change);
  if (!isWhole) return 'aborted';
  if (found.length > 1 || found[0] === ZEROS) return 'mixed';
  return followed ? 'whole' : 'whole, then aborted';
}
