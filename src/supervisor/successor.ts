import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { RyegateError } from '../errors.ts';
import { formatAddress } from '../reactor/address.ts';
import { handoverVariable } from './inheritance.ts';
import { listenDescriptors } from './listendescriptors.ts';
import type { Listeners } from './listeners.ts';
import type { Start } from './startfolder.ts';

/** The first descriptor behind standard input, output and error; `SD_LISTEN_FDS_START` as well. */
const FIRST_DESCRIPTOR = 3;
/** LISTEN_PID has to name the process, whose number nobody knows before it is there. */
const NAME_ITSELF = 'export LISTEN_PID=$$; exec "$0" "$@"';

/** What a supervisor is told of its successor. */
export interface SuccessorOwner {
  /** There is none, though it is said already that none can be started. */
  successorFailed(error: Error): void;
  /** It serves. */
  successorReady(): void;
  /** It has ended, though this process is still there. */
  successorDied(how: string): void;
}

/** The process that takes over from a supervisor: the same program, with its listening sockets. */
export class Successor {
  readonly pid: number;
  #lives = true;

  /** @throws RyegateError `ERR_RYEGATE_SUPERVISOR` when no process can be started */
  constructor(listeners: Listeners, start: Start, owner: SuccessorOwner) {
    const child = spawned(() => run(listeners, start), owner);
    this.pid = child.pid as number;
    // It lives longer than this process.
    child.unref();
    const line = child.stdio.at(-1) as Socket;
    line.unref().on('error', () => {});
    line.once('data', () => {
      owner.successorReady();
      // It waits for that.
      line.destroy();
    });
    child.on('exit', (code, signal) => {
      this.#lives = false;
      line.destroy();
      owner.successorDied(signal === null ? `ended with status ${code}` : `was ended by ${signal}`);
    });
  }

  get lives(): boolean {
    return this.#lives;
  }
}

/** Those that the service manager has passed stay in their places, and the others follow. */
function run(listeners: Listeners, { folder, env, args }: Start): ChildProcess {
  const passed = listenDescriptors({ ...env }).map(({ fd }) => fd);
  const others = [...listeners.sockets].filter(([, { fd }]) => !passed.includes(fd));
  const first = FIRST_DESCRIPTOR + passed.length;
  const places = others.map(([name, { address }], index) => {
    return [name, [first + index, formatAddress(address)]] as const;
  });
  const variable = handoverVariable({
    master: process.pid,
    listeners: Object.fromEntries(places),
    line: first + others.length,
  });
  const { WATCHDOG_PID: _, ...variables } = env;
  const command = [process.execPath, ...args];
  if (passed.length > 0) command.unshift('/bin/sh', '-c', NAME_ITSELF);
  const [program = '', ...rest] = command;
  const descriptors = [...passed, ...others.map(([, { fd }]) => fd)];
  return spawn(program, rest, {
    cwd: folder,
    stdio: ['inherit', 'inherit', 'inherit', ...descriptors, 'pipe'],
    env: { ...variables, ...variable },
  });
}

/** Some failures are thrown, of others an event tells. */
function spawned(run: () => ChildProcess, owner: SuccessorOwner): ChildProcess {
  let child: ChildProcess;
  try {
    child = run();
  } catch (error) {
    throw refusal((error as Error).message, error);
  }
  child.on('error', (error) => {
    if (child.pid === undefined) owner.successorFailed(error);
  });
  if (child.pid === undefined) throw refusal('the system starts no process');
  return child;
}

function refusal(problem: string, cause?: unknown): RyegateError {
  const message = `the supervisor cannot be replaced: ${problem}`;
  return new RyegateError('ERR_RYEGATE_SUPERVISOR', message, { cause });
}
