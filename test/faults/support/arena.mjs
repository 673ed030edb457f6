// Where a case is fought out: the processes that it starts, which all end with it.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bounded, countDescriptors, cpuShare, eventually, residentMemory } from './measure.mjs';

const programs = fileURLToPath(new URL('../programs/', import.meta.url));

/** A child process that is asked by messages, and answers each. */
export class Program {
  stderr = '';
  #messages = [];
  #ended = false;

  constructor(command, args, { env = {}, stderr = 'pipe' } = {}) {
    this.child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', stderr, 'ipc'],
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.stderr += text;
    });
    this.child.on('message', (message) => this.#messages.push(message));
    this.child.on('error', (error) => {
      this.stderr += error.message;
      this.#ended = true;
    });
    this.exit = new Promise((resolve) => {
      this.child.on('exit', (code, signal) => {
        this.#ended = true;
        resolve(code ?? signal);
      });
    });
  }

  get pid() {
    return this.child.pid;
  }

  get ended() {
    return this.#ended;
  }

  /** The next message of the program. */
  async next(milliseconds) {
    const told = () => this.#messages.length > 0 || this.#ended;
    await eventually(told, 'a program answers', milliseconds);
    if (this.#messages.length > 0) return this.#messages.shift();
    throw new Error(`a program ended and said: ${this.stderr.slice(-500)}`);
  }

  /** Asks, and resolves with the answer. */
  ask(question, milliseconds) {
    this.child.send(question);
    return this.next(milliseconds);
  }

  async kill() {
    if (this.#ended || this.pid === undefined) return;
    this.child.kill('SIGKILL');
    await bounded(this.exit, `the end of process ${this.pid}`);
  }
}

/** The server under test, with what is measured of it from outside. */
export class Server extends Program {
  address = null;

  cpuShare(milliseconds) {
    return cpuShare(this.pid, milliseconds);
  }

  get descriptors() {
    return countDescriptors(this.pid);
  }

  /** Resident memory after a garbage collection, in KiB. */
  async memory() {
    await this.ask('collect');
    return residentMemory(this.pid);
  }

  /** Memory in use after a garbage collection, in KiB: what does not depend on V8's spare room. */
  async live() {
    return (await this.ask('collect')) / 1024;
  }

  /** What the server counts; see programs/server.mjs. */
  counts() {
    return this.ask('counts');
  }

  /** Waits until it has no more than so many connections. */
  async quiet(connections = 0, milliseconds = 10_000) {
    const gone = async () => (await this.counts()).sockets <= connections;
    await eventually(gone, `the server has ${connections} connections left`, milliseconds);
  }
}

/** What a case gets to work with. */
export class Arena {
  folder = mkdtempSync(join(tmpdir(), 'ryegate-faults-'));
  #programs = [];

  /** `selector`: of the server under test; `unix`: it listens on a unix socket. */
  constructor({ selector, unix }) {
    this.selector = selector;
    this.unix = unix;
  }

  /** `wanted` connections, or as many as select(2), which ends at descriptor 1023, can have. */
  crowdSize(wanted) {
    return this.selector === 'select' ? Math.min(wanted, 900) : wanted;
  }

  /**
   * A serving server. `options` are those of `makeServer()`; `prefix` is a command to run it under,
   * `flags` are Node's.
   */
  async server(options = {}, { prefix = [], flags = [], env, stderr } = {}) {
    const path = join(this.folder, `socket${this.#programs.length}`);
    const settings = {
      address: this.unix ? path : ['127.0.0.1', 0],
      options: { selector: this.selector, ...options },
    };
    const node = [process.execPath, '--expose-gc', ...flags, `${programs}server.mjs`];
    const [command, ...args] = [...prefix, ...node, JSON.stringify(settings)];
    const server = new Server(command, args, { env, stderr });
    this.#programs.push(server);
    server.address = (await server.next()).address;
    return server;
  }

  /** Many clients in a process of their own; see programs/crowd.mjs. */
  crowd(options) {
    const args = [`${programs}crowd.mjs`, JSON.stringify(options)];
    const crowd = new Program(process.execPath, args, { stderr: 'inherit' });
    this.#programs.push(crowd);
    return crowd;
  }

  /** Any other program that has to end with the case. */
  run(command, args, options) {
    const program = new Program(command, args, options);
    this.#programs.push(program);
    return program;
  }

  async close() {
    await Promise.all(this.#programs.map((program) => program.kill()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
