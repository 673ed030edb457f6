import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { cleanEnvironment, main, type Program, programStarter, type Start } from './programs.ts';

/** Runs the command line in a folder of modules. */
export interface CommandLine {
  readonly folder: string;
  readonly start: Start;
  ryegate(args: readonly string[], env?: Record<string, string>): Program;
  /** Serves on a free port of the loopback interface. */
  serving(...args: string[]): Program;
}

/** For one test file; `modules` are sources by their path in the folder. */
export function commandLine(modules: Readonly<Record<string, string>>): CommandLine {
  const start = programStarter();
  const folder = mkdtempSync(join(tmpdir(), 'ryegate-cli-'));
  beforeAll(() => {
    for (const [name, source] of Object.entries(modules)) {
      mkdirSync(join(folder, name, '..'), { recursive: true });
      writeFileSync(join(folder, name), source);
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const ryegate: CommandLine['ryegate'] = (args, env = {}) =>
    start(process.execPath, [main, ...args], {
      cwd: folder,
      env: { ...cleanEnvironment(), ...env },
    });
  const serving = (...args: string[]): Program => ryegate(['--bind', '127.0.0.1:0', ...args]);
  return { folder, start, ryegate, serving };
}

/** Whether nobody listens there any more. */
export function isRefused(url: string): Promise<boolean> {
  const signal = AbortSignal.timeout(200);
  return fetch(url, { signal }).then(
    () => false,
    ({ cause }) => cause?.code === 'ECONNREFUSED',
  );
}

/** A listening socket of this process. */
export interface ListeningSocket {
  readonly port: number;
  readonly fd: number;
  close(): void;
}

/** A function that opens listening sockets, which are closed after each test. */
export function listenerMaker(): () => Promise<ListeningSocket> {
  const open: Server[] = [];
  afterEach(() => {
    for (const server of open.splice(0)) server.close();
  });
  return async () => {
    const server = createServer();
    open.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
    return { port, fd, close: () => server.close() };
  };
}
