import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { OpenFileCacheSettings } from '../../src/files/index.ts';
import type { MakeServerOptions, ServerAddress } from '../../src/index.ts';
import { type Program, programStarter } from './programs.ts';
import { RawClient } from './rawclient.ts';
import { requireDist } from './servers.ts';
import { requireTool } from './tools.ts';

const program = fileURLToPath(new URL('fileserver.mjs', import.meta.url));

/** The least that Linux gives a socket's buffer is about that. */
const SMALL = 4096;

/** The listening socket that is inherited: a number that nobody has yet. */
const INHERITED = 10;

/**
 * Runs a command that inherits a listening socket whose connections have small send buffers: on
 * Linux they inherit those of TCP from it, which Node.js cannot set.
 */
const LISTEN = `
import os, socket, sys
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ${SMALL})
listener.bind(('127.0.0.1', 0))
listener.listen(100)
os.dup2(listener.fileno(), ${INHERITED})
os.execvp(sys.argv[1], sys.argv[1:])
`;

/**
 * Connects with a small receive buffer, sends standard input, and hands on what comes to standard
 * output: it reads so many bytes at a time and sleeps so many seconds whenever it has read so many.
 */
const READ = `
import socket, sys, time
host, port, piece, every, pause = sys.argv[1:6]
if port == '':
    connection = socket.socket(socket.AF_UNIX)
    where = host
else:
    connection = socket.socket()
    where = (host, int(port))
connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ${SMALL})
connection.connect(where)
connection.sendall(sys.stdin.buffer.read())
owed = 0
while True:
    received = connection.recv(int(piece))
    if not received:
        break
    sys.stdout.buffer.write(received)
    sys.stdout.buffer.flush()
    owed += len(received)
    if owed >= int(every):
        owed = 0
        time.sleep(float(pause))
`;

export interface FileServerSettings {
  /** The folder of the files. */
  root: string;
  /** Default: TCP on loopback. */
  address?: ServerAddress;
  /** Connections get a send buffer of 4 KiB; TCP only. */
  smallBuffers?: boolean;
  /** Serves by `serveForeverSync()`. */
  sync?: boolean;
  /** File results are iterated. */
  iterate?: boolean;
  /** Of the static application. */
  cache?: Partial<OpenFileCacheSettings>;
  options?: MakeServerOptions;
}

/** When a file result was made and closed, in microseconds of the system's monotonic clock. */
export interface ResultTimes {
  begun: number;
  closed?: number;
}

/** What a server tells of itself. */
export interface FileServerState {
  /** How many are open, but for that of the connection that is asked on. */
  descriptors: number;
  /** By the ids of the requests. */
  results: Record<string, ResultTimes>;
}

/** A server of files in a process of its own; see fileserver.mjs. */
export class FileServer {
  readonly program: Program;
  readonly address: ServerAddress;

  constructor(program: Program, address: ServerAddress) {
    this.program = program;
    this.address = address;
  }

  state(): Promise<FileServerState> {
    return this.#ask('/state');
  }

  /** Has a file changed; tells how it was with the server before, and when that was done. */
  change(
    name: string,
    changes: string,
  ): Promise<FileServerState & { begun: number; done: number }> {
    return this.#ask(`/change/${name}?${changes}`);
  }

  async #ask<T extends FileServerState>(target: string): Promise<T> {
    const client = await RawClient.connect(this.address);
    await client.send(`GET ${target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n`);
    const { body } = await client.response();
    client.destroy();
    const state = JSON.parse(body.toString());
    return { ...state, descriptors: state.descriptors - 1 };
  }
}

/** A function that starts servers of files, which are killed after each test. */
export function fileServers(): (settings: FileServerSettings) => Promise<FileServer> {
  const start = programStarter();
  requireDist();
  requireTool('python3', '--version');
  return async ({ smallBuffers = false, ...settings }) => {
    const given = JSON.stringify(smallBuffers ? { ...settings, fd: INHERITED } : settings);
    const command = [process.execPath, program, given];
    const prefix = smallBuffers ? ['python3', '-c', LISTEN] : ['env'];
    const [first = '', ...args] = [...prefix, ...command];
    // The addon that is tested is the server's as well.
    const server = start(first, args, { env: process.env });
    const [, address = ''] = await server.says(/^(.*)\n/, 'stdout');
    return new FileServer(server, JSON.parse(address));
  };
}

/** How a client with a receive buffer of 4 KiB reads. */
export interface Pace {
  /** Bytes at a time. */
  piece: number;
  /** It sleeps whenever it has read so many bytes. */
  every: number;
  /** So many seconds. */
  pause: number;
}

/**
 * Sends `request`, after which the server has to end the connection, from a process of its own, and
 * gives what comes to `take`.
 */
export async function readSlowly(
  address: ServerAddress,
  request: string,
  { piece, every, pause }: Pace,
  take: (bytes: Buffer) => void,
): Promise<void> {
  const where = typeof address === 'string' ? [address, ''] : address;
  const args = ['-c', READ, ...[...where, piece, every, pause].map(String)];
  const reader = spawn('python3', args, { stdio: ['pipe', 'pipe', 'inherit'], timeout: 60_000 });
  reader.stdout.on('data', take);
  reader.stdin.end(request);
  const [code, signal] = await once(reader, 'close');
  if (code !== 0) throw new Error(`the reader ended with ${code ?? signal}`);
}
