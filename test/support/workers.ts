import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { openDescriptors } from './descriptors.ts';

const servingWorker = new URL('./servingworker.mjs', import.meta.url);
// Threads load the compiled package: Node 20 runs no TypeScript.
if (!existsSync(fileURLToPath(new URL('../../dist/index.js', import.meta.url)))) {
  throw new Error('dist/index.js is missing: compile it first with `npx tsc -p .`');
}

/** A worker thread that serves, and its port. */
export interface ServingWorker {
  worker: Worker;
  port: number;
  /** Connects, sends a request and resolves when the answer has begun to come. */
  ask(path: string): Promise<Socket>;
  /** Connects and sends a request that is not answered soon. */
  send(path: string): Promise<Socket>;
  /** The worker's exit code. */
  exit: Promise<number>;
}

export async function startWorker(
  selector: string,
  mode: 'loop' | 'sync' | 'churn',
): Promise<ServingWorker> {
  const worker = new Worker(servingWorker, { workerData: { selector, mode } });
  const exit = new Promise<number>((resolve) => {
    worker.once('exit', resolve);
  });
  const [port] = await once(worker, 'message');
  const send = async (path: string): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    // The end of a worker may reset it.
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(`GET ${path} HTTP/1.1\r\nHost: worker\r\n\r\n`);
    return socket;
  };
  const ask = async (path: string): Promise<Socket> => {
    const socket = await send(path);
    const [head] = await once(socket, 'data');
    if (!String(head).startsWith('HTTP/1.1 200 OK')) throw new Error(`answered: ${head}`);
    return socket;
  };
  return { worker, port, ask, send, exit };
}

/** How many descriptors are open, once no more than `most` are, or five seconds have passed. */
export async function settledDescriptors(most: number): Promise<number> {
  for (let i = 0; i < 500 && openDescriptors() > most; i += 1) await sleep(10);
  return openDescriptors();
}

/** Resolves when the other side of `socket` is gone. */
export async function untilClosed(socket: Socket): Promise<void> {
  socket.resume();
  if (!socket.closed) await once(socket, 'close');
}
