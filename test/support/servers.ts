import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, expect } from 'vitest';
import {
  type Application,
  type BaseServer,
  type MakeServerOptions,
  makeServer,
  type PostedShutdownHandle,
  type ServerAddress,
  ShutdownHandle,
  validator,
  type WSGIServer,
} from '../../src/index.ts';

// Threads and processes load the compiled package: Node 20 runs no TypeScript.
export const dist: string = new URL('../../dist/index.js', import.meta.url).href;

export function requireDist(): void {
  if (existsSync(fileURLToPath(dist))) return;
  throw new Error('dist/index.js is missing: compile it first with `npx tsc -p .`');
}

export const hello: Application = validator((environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return [`hello ${environ.PATH_INFO}`];
});

/** Servers that are shut down and closed after each test. */
/** The request for that path, as clients write it. */
export function requestFor(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
}

/** More than the system keeps for a client that does not read. */
export const BIG: number = 24 * 1024 * 1024;

/** An application that answers as `hello`, but requests of one path only when it is told to. */
export interface HeldApplication {
  readonly app: Application;
  /** Resolves when such a request has come. */
  readonly began: Promise<void>;
  finish(): void;
}

export function held(path: string): HeldApplication {
  const began = gate();
  const finished = gate();
  const app: Application = async (environ, startResponse) => {
    if (environ.PATH_INFO === path) {
      began.open();
      await finished.opened;
    }
    return hello(environ, startResponse);
  };
  return { app, began: began.opened, finish: finished.open };
}

export interface ServerKeeper {
  keep<T extends BaseServer>(server: T): T;
  /** A WSGI server on a port of the system's choice, for an application that is validated. */
  make(application: Application, options?: MakeServerOptions): WSGIServer;
  /** Serves; a failure of the serving fails the test. */
  serve(server: BaseServer, pollInterval?: number): Promise<void>;
}

export function serverKeeper(): ServerKeeper {
  const open: BaseServer[] = [];
  const servings: Promise<void>[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((server) => server.serverClose()));
    await Promise.all(servings.splice(0));
  });
  const keep = <T extends BaseServer>(server: T): T => {
    open.push(server);
    return server;
  };
  return {
    keep,
    make: (application, options = {}) =>
      keep(makeServer('127.0.0.1', 0, validator(application), options)),
    serve: (server, pollInterval) => {
      const serving = server.serveForever(pollInterval);
      // Looked at after the test, or by the test itself.
      serving.catch(() => {});
      servings.push(serving);
      return serving;
    },
  };
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Where clients reach a server: by TCP on loopback, or its unix socket. */
export function target(address: ServerAddress): { path: string } | { host: string; port: number } {
  if (typeof address === 'string') return { path: address };
  const [host, port] = address;
  if (host === '0.0.0.0') return { host: '127.0.0.1', port };
  return { host: host === '::' ? '::1' : host, port };
}

/** GETs `path` by node:http; on a connection of its own unless an agent is given. */
export function get(
  address: ServerAddress,
  path = '/',
  agent: Agent | false = false,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const where =
      typeof address === 'string' ? { socketPath: address } : { ...target(address), path };
    const sent = request({ ...where, path, agent }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** One persistent connection by node:http. */
export function persistentAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 });
}

/** A client of node:net that collects what it receives. */
export interface Client {
  readonly socket: Socket;
  /** The port at the client's end; 0 over a unix socket. */
  port: number;
  /** All that has been received so far. */
  received(): string;
  /** Resolves when `text` has been received. */
  until(text: string): Promise<void>;
  /** Resolves with everything when the server has ended its side or broken the connection off. */
  end(): Promise<string>;
  /** Whether the connection was reset. */
  readonly failure: NodeJS.ErrnoException | null;
}

/** Clients that are destroyed after each test. */
export interface ClientKeeper {
  connect(address: ServerAddress, options?: { allowHalfOpen?: boolean }): Promise<Client>;
  agent(): Agent;
}

export function clientKeeper(): ClientKeeper {
  const sockets: Socket[] = [];
  const agents: Agent[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const agent of agents.splice(0)) agent.destroy();
  });
  return {
    connect: async (address, options = {}) => {
      const socket = connect({ ...target(address), ...options });
      sockets.push(socket);
      const client = observe(socket);
      await once(socket, 'connect');
      client.port = socket.localPort ?? 0;
      return client;
    },
    agent: () => {
      const agent = persistentAgent();
      agents.push(agent);
      return agent;
    },
  };
}

function observe(socket: Socket): Client {
  let text = '';
  let over = false;
  let failure: NodeJS.ErrnoException | null = null;
  socket.setEncoding('latin1').on('data', (piece) => {
    text += piece;
  });
  socket.on('error', (error) => {
    failure = error;
  });
  for (const event of ['end', 'close']) {
    socket.on(event, () => {
      over = true;
    });
  }
  return {
    socket,
    port: 0,
    received: () => text,
    until: (wanted) => eventually(() => text.includes(wanted), `the client receives ${wanted}`),
    end: async () => {
      await eventually(() => over, 'the connection ends');
      return text;
    },
    get failure() {
      return failure;
    },
  };
}

/** A promise and the function that resolves it. */
export function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Waits until `condition` holds; fails after ten seconds. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    if (condition()) return;
    await sleep(5);
  }
  throw new Error(`waited in vain until ${what}`);
}

/** What `promise` is rejected with; `'no error'` when it is not. */
export async function rejectionCode(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/** Whether `promise` has not settled within so many milliseconds. */
export async function isPending(promise: Promise<unknown>, milliseconds = 50): Promise<boolean> {
  const pending = Symbol('pending');
  return (await Promise.race([promise, sleep(milliseconds, pending)])) === pending;
}

/** The median of the milliseconds that `action` takes. */
export async function medianTime(rounds: number, action: () => Promise<number>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) times.push(await action());
  times.sort((a, b) => a - b);
  return times[Math.floor(rounds / 2)] as number;
}

/**
 * For a thread: serves until it is shut down or drained, with `mode: 'sync'` by `serveForeverSync()`.
 */
export const SERVING_THREAD = `
  const app = (environ, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return ['hello ' + environ.PATH_INFO];
  };
  const { selector, mode } = workerData;
  const server = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app), { selector });
  tell({ handle: server.shutdownHandle, address: server.serverAddress });
  if (mode === 'sync') server.serveForeverSync(60);
  else await server.serveForever(60);
  tell('ended');
  await server.serverClose();
`;

/** A worker thread that runs a script of the test with the compiled package. */
export interface ServerThread {
  readonly worker: Worker;
  /** The next message of the script. */
  // biome-ignore lint/suspicious/noExplicitAny: what a test posts to itself.
  next(): Promise<any>;
  /** The shutdown handle that the script posts as its first message, with the address. */
  ready(): Promise<{ handle: ShutdownHandle; address: ServerAddress }>;
  /** Expects the script to end by itself without an error. */
  end(): Promise<void>;
}

/**
 * Runs `script`, the body of an async function of `(ryegate, tell, workerData)`, in a thread.
 * `tell` posts to the test. Threads that still run are terminated after the test.
 */
export function threadKeeper(): (script: string, workerData?: object) => ServerThread {
  const threads: Worker[] = [];
  afterEach(async () => {
    await Promise.all(threads.splice(0).map((worker) => worker.terminate()));
  });
  return (script, workerData = {}) => {
    requireDist();
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
       const tell = (message) => parentPort.postMessage(message);
       import(workerData.dist).then(async (ryegate) => { ${script} });`,
      { eval: true, workerData: { dist, ...workerData } },
    );
    threads.push(worker);
    return observeThread(worker);
  };
}

function observeThread(worker: Worker): ServerThread {
  const messages: unknown[] = [];
  let exitCode: number | null = null;
  let failure: Error | null = null;
  worker.on('message', (message) => messages.push(message));
  worker.on('error', (error) => {
    failure = error as Error;
  });
  worker.on('exit', (code) => {
    exitCode = code;
  });
  const next = async (): Promise<unknown> => {
    await eventually(() => messages.length > 0 || exitCode !== null, 'the thread tells something');
    if (messages.length === 0) throw failure ?? new Error('the thread ended and told nothing');
    return messages.shift();
  };
  return {
    worker,
    next,
    ready: async () => {
      const told = (await next()) as { handle: PostedShutdownHandle; address: ServerAddress };
      return { handle: ShutdownHandle.from(told.handle), address: told.address };
    },
    end: async () => {
      await eventually(() => exitCode !== null, 'the thread ends');
      if (failure !== null) throw failure;
      expect(exitCode).toBe(0);
    },
  };
}

/**
 * Runs an ES module in a child process, with the compiled package's URL as its first argument;
 * resolves with its standard output. A failure of it fails the test.
 */
export async function runScript(script: string, ...args: string[]): Promise<string> {
  requireDist();
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script, dist, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 25_000,
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  expect(await once(child, 'close')).toEqual([0, null]);
  return output;
}
