import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError, cpuTime } from '../harness/processes.ts';
import { PATHS, type Workload } from '../harness/workload.ts';
import type { RunningServer } from '../servers/index.ts';
import { blast } from './blast.ts';

const REQUEST = `GET ${PATHS.hello} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;
const BODY = 'Hello, World!';

/** The load beforehand, whose connections are closed again: code and caches count for no connection. */
const WARMUP: Workload = {
  name: 'idle-warmup',
  title: 'hello, 64 connections',
  route: 'hello',
  request: Buffer.from(REQUEST),
  connections: 64,
  pipelined: 1,
  close: false,
  varied: null,
};
const WARMUP_SECONDS = 1;
/** So many connections are made at a time. */
const AT_ONCE = 64;
/** For so long nothing happens before memory is read. */
const SETTLE_MS = 1000;
/** An answer that takes longer will not come. */
const PATIENCE_MS = 10_000;

export interface IdleSettings {
  readonly server: RunningServer;
  /** The limit of open files has to allow them to this process and to the server. */
  readonly connections: number;
  /** How long the connections are watched; 5 by default. */
  readonly seconds?: number;
}

export interface Idle {
  /** Resident memory of all the server's processes in bytes, before the connections and with them. */
  readonly before: number;
  readonly after: number;
  /** CPU time in microseconds that they used while the connections were idle. */
  readonly cpu: number;
  /** How many connections the server had closed when `after` was read, and at the end. */
  readonly closedAfter: number;
  readonly closedAtEnd: number;
}

/** Memory of the processes that is not swapped out, in bytes. What they share counts for each. */
function residentMemory(pids: readonly number[]): number {
  return pids.reduce((total, pid) => {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const [, kilobytes = '0'] = /^VmRSS:\s*(\d+) kB$/m.exec(status) ?? [];
    return total + Number(kilobytes) * 1024;
  }, 0);
}

/** A connection on which the server has answered once. */
function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1').setNoDelay();
  let answer = '';
  return new Promise((resolve, reject) => {
    const broken = (how: string): void => {
      reject(new BenchError(`an idle connection: ${how} after ${JSON.stringify(answer)}`));
    };
    socket.setTimeout(PATIENCE_MS, () => {
      broken('nothing came for 10 seconds');
      socket.destroy();
    });
    socket.on('error', (error) => broken(error.message));
    socket.on('close', () => broken('closed'));
    socket.on('data', (text) => {
      answer += text;
      if (!answer.endsWith(BODY)) return;
      socket.setTimeout(0);
      resolve(socket);
    });
    socket.write(REQUEST);
  });
}

async function openAll(port: number, connections: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  let begun = 0;
  const openSome = async (): Promise<void> => {
    while (begun++ < connections) sockets.push(await open(port));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, openSome));
  return sockets;
}

/** As `idle()`, of a server that is warm. */
export async function idleWarm({ server, connections, seconds = 5 }: IdleSettings): Promise<Idle> {
  const { pids, port } = server;
  const before = residentMemory(pids);
  const sockets = await openAll(port, connections);
  const closed = (): number => sockets.filter((socket) => socket.destroyed).length;
  try {
    await sleep(SETTLE_MS);
    const after = residentMemory(pids);
    const closedAfter = closed();
    const used = cpuTime(pids);
    await sleep(seconds * 1000);
    return { before, after, cpu: cpuTime(pids) - used, closedAfter, closedAtEnd: closed() };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

/**
 * What connections cost that have been answered once and are then silent. The server has to answer
 * hello.
 */
export async function idle(settings: IdleSettings): Promise<Idle> {
  await blast.run({ server: settings.server, workload: WARMUP, seconds: WARMUP_SECONDS });
  await sleep(SETTLE_MS);
  return await idleWarm(settings);
}
