// What a thread of a pool runs.
import { parentPort, workerData } from 'node:worker_threads';
import type { PostedShutdownHandle } from '../reactor/control.ts';
import type { ServerAddress } from '../socketserver/index.ts';
import type { MakeServerOptions } from '../wsgi/index.ts';
import { loadApplication } from '../wsgi/loadapplication.ts';
import { AcceptedQueue } from './acceptedqueue.ts';
import { duplicateListener } from './duplicatelistener.ts';
import { importModule } from './importmodule.ts';
import { type BoardMemory, ThreadBoard } from './poolboard.ts';
import type { PoolServerOptions } from './poolsettings.ts';
import type { ThreadContext, ThreadModule, ThreadParts } from './threadmodule.ts';
import { type Source, ThreadServer } from './threadserver.ts';

/** What a thread is told, and can do with. */
export interface ThreadData {
  /** One of them is there. */
  application: string | null;
  threadModule: string | null;
  threadData: unknown;
  cwd: string;
  address: ServerAddress;
  server: PoolServerOptions;
  blocking: boolean;
  closeTimeout: number;
  /** Seconds between two beats at most. */
  beat: number;
  board: BoardMemory;
  /** Where the thread is on the board. */
  place: number;
  /** Acceptor mode: the queue, and the descriptor that tells of it. */
  queue: { words: Int32Array<SharedArrayBuffer>; fd: number } | null;
  /**
   * The shared listener, a descriptor of another thread's, which stays open until this one is ready;
   * null: it makes one.
   */
  listener: number | null;
}

/** Told when clients are accepted; an application may have messages of its own. */
export interface ReadyMessage {
  ryegate: 'ready';
  handle: PostedShutdownHandle;
}

function sourceOf({ queue, listener }: ThreadData): Source {
  if (queue !== null) return { queue: new AcceptedQueue(queue.words), fd: queue.fd };
  return listener !== null ? 'shared listener' : 'own listener';
}

function makeServer(data: ThreadData, parts: ThreadParts, board: ThreadBoard): ThreadServer {
  const { listener, address } = data;
  const options: MakeServerOptions = { ...data.server, fd: null };
  if (listener !== null) options.fd = duplicateListener(listener);
  let told = false;
  const accepting = (): void => {
    const message: ReadyMessage = { ryegate: 'ready', handle: server.shutdownHandle };
    if (!told) parentPort?.postMessage(message);
    told = true;
  };
  const place = { board, source: sourceOf(data), accepting };
  const server: ThreadServer = new ThreadServer(address, options, parts, place);
  return server;
}

async function makeParts(data: ThreadData, context: ThreadContext): Promise<ThreadParts> {
  const { threadModule, application, cwd } = data;
  if (threadModule === null) return { application: await loadApplication(application ?? '', cwd) };
  const module = await importModule<ThreadModule>(threadModule, cwd);
  return await module.startThread(context);
}

async function run(data: ThreadData): Promise<void> {
  // First, so that no call for logs to be reopened is missed.
  const board = new ThreadBoard(data.board, data.place);
  const parts = await makeParts(data, {
    data: data.threadData,
    get draining(): boolean {
      return board.draining;
    },
  });
  ThreadServer.closeTimeout = data.closeTimeout;
  const server = makeServer(data, parts, board);
  if (data.blocking) server.serveForeverSync(data.beat);
  else await server.serveForever(data.beat);
  await server.serverClose();
  board.show(server.stats());
  await parts.close?.();
  // The application may have timers of its own.
  process.exit(0);
}

await run(workerData as ThreadData);
