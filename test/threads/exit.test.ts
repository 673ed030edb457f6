import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { type Program, programStarter } from '../support/programs.ts';
import { settledDescriptors, startWorker, untilClosed } from '../support/workers.ts';

const start = programStarter();
const dist = new URL('../../dist/index.js', import.meta.url).href;

/** Runs a module that finds `makeServer`, `get` and the selector's name. */
function run(selector: string, body: string, nodeOptions: string[] = []): Program {
  const source = `
    import { once } from 'node:events';
    import { request } from 'node:http';
    import { Worker } from 'node:worker_threads';
    import { makeServer } from '${dist}';
    const selector = '${selector}';
    const hello = (environ, startResponse) => {
      startResponse('200 OK', [['Content-Type', 'text/plain']]);
      return ['hello'];
    };
    const get = async (port, path = '/') => {
      const [response] = await once(request({ port, path, agent: false }).end(), 'response');
      let text = '';
      for await (const chunk of response) text += chunk;
      return text;
    };
    const makeHello = () => makeServer('127.0.0.1', 0, hello, { selector });
    ${body}
  `;
  const args = [...nodeOptions, '--input-type=module', '--eval', source];
  // Also under the sanitizers, whose environment it needs.
  return start(process.execPath, args, { env: process.env });
}

async function outcome(program: Program): Promise<string> {
  const [code, signal] = await program.exit;
  return `${signal ?? code} ${program.stdout.trim()}${program.stderr.trim()}`;
}

describeBackends('the end of a process', (selector) => {
  it('process.exit() while serving', async () => {
    const program = run(
      selector,
      `const server = makeHello();
      server.serveForever();
      console.log(await get(server.serverAddress[1]));
      setTimeout(() => process.exit(3), 50);`,
    );
    expect(await outcome(program)).toBe('3 hello');
  });

  it('process.exit() inside a handler, with other answers pending', async () => {
    const program = run(
      selector,
      `const server = makeServer('127.0.0.1', 0, (environ, startResponse) => {
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        if (environ.PATH_INFO === '/exit') process.exit(4);
        return new Promise(() => {});
      }, { selector });
      server.serveForever();
      const port = server.serverAddress[1];
      get(port);
      await new Promise((resolve) => setTimeout(resolve, 50));
      get(port, '/exit');`,
    );
    expect(await outcome(program)).toBe('4 ');
  });

  it('process.exit() while workers serve, one of them blocking', async () => {
    const script = new URL('../support/servingworker.mjs', import.meta.url).href;
    const program = run(
      selector,
      `for (const mode of ['loop', 'sync']) {
        const workerData = { selector, mode };
        const worker = new Worker(new URL('${script}'), { workerData, execArgv: [] });
        const [port] = await once(worker, 'message');
        console.log((await get(port)).slice(0, 5));
      }
      process.exit(5);`,
    );
    expect(await outcome(program)).toBe('5 hello\nhello');
  });

  it('comes by itself after serverClose(), not before', async () => {
    const program = run(
      selector,
      `const server = makeHello();
      const serving = server.serveForever();
      const begun = performance.now();
      await get(server.serverAddress[1]);
      setTimeout(async () => {
        await server.serverClose();
        await serving;
        console.log('closed');
      }, 300).unref();
      process.on('exit', () => console.log(performance.now() - begun >= 300));`,
    );
    // The timer does not keep the process alive: the serving does, until it fires.
    expect(await outcome(program)).toBe('0 closed\ntrue');
  });

  it('comes by itself after shutdown() without serverClose()', async () => {
    const program = run(
      selector,
      `const server = makeHello();
      const serving = server.serveForever();
      await get(server.serverAddress[1]);
      await server.shutdown();
      await serving;
      console.log('ended');`,
    );
    expect(await outcome(program)).toBe('0 ended');
  });

  it('comes by itself with a server that never served, closed or not', async () => {
    const program = run(selector, `makeHello(); await makeHello().serverClose();`);
    expect(await outcome(program)).toBe('0 ');
  });

  it('an uncaught exception while serving ends it as any other program', async () => {
    const program = run(
      selector,
      `const server = makeHello();
      server.serveForever();
      await get(server.serverAddress[1]);
      setTimeout(() => { throw new Error('not caught'); }, 10);`,
    );
    const [code] = await program.exit;
    expect([code, program.stderr.includes('not caught')]).toEqual([1, true]);
  });

  it('survives garbage collection while serving, with nothing else holding the server', async () => {
    const program = run(
      selector,
      `const makeOne = () => {
        const server = makeHello();
        server.serveForever();
        return server.serverAddress[1];
      };
      const port = makeOne();
      let answers = 0;
      for (let i = 0; i < 50; i += 1) {
        globalThis.gc();
        if ((await get(port)) === 'hello') answers += 1;
        globalThis.gc();
      }
      console.log(answers);
      process.exit(0);`,
      ['--expose-gc'],
    );
    expect(await outcome(program)).toBe('0 50');
  });

  it('gives the descriptors of forgotten servers back to the garbage collector', async () => {
    const program = run(
      selector,
      `import { readdirSync } from 'node:fs';
      const count = () => readdirSync('/proc/self/fd').length;
      const forget = async () => {
        const server = makeHello();
        const serving = server.serveForever();
        await server.shutdown();
        await serving;
        await server.serverClose();
      };
      for (let i = 0; i < 3; i += 1) await forget();
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 50));
      const before = count();
      for (let i = 0; i < 20; i += 1) await forget();
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 50));
      console.log(count() - before);`,
      ['--expose-gc'],
    );
    expect(await outcome(program)).toBe('0 0');
  });

  it('goes on after an exception in a tick that a handler catches process-wide', async () => {
    const program = run(
      selector,
      `process.on('uncaughtException', (error) => console.log(error.message));
      const server = makeServer('127.0.0.1', 0, (environ, startResponse) => {
        process.nextTick(() => { throw new Error('in a tick'); });
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        return ['answered'];
      }, { selector });
      server.serveForever();
      for (let i = 0; i < 3; i += 1) console.log(await get(server.serverAddress[1]));
      await server.serverClose();`,
    );
    expect(await outcome(program)).toBe(`0 ${Array(3).fill('in a tick\nanswered').join('\n')}`);
  });
});

describeBackends('the end of a worker', (selector) => {
  it('comes by itself after serverClose()', async () => {
    const before = openDescriptors();
    const { ask, exit } = await startWorker(selector, 'loop');
    const kept = await ask('/');
    const closing = await ask('/close');
    expect(await exit).toBe(0);
    await Promise.all([kept, closing].map(untilClosed));
    expect(await settledDescriptors(before)).toBe(before);
  });

  it('comes with an uncaught exception while it serves', async () => {
    const before = openDescriptors();
    const { worker, ask, exit } = await startWorker(selector, 'loop');
    const failures: unknown[] = [];
    worker.on('error', (error) => failures.push(error));
    const client = await ask('/throw');
    expect(await exit).toBe(1);
    expect(failures).toMatchObject([{ message: 'thrown in a worker' }]);
    await untilClosed(client);
    expect(await settledDescriptors(before)).toBe(before);
  });
});

it('workers and the main thread serve side by side, each on its own selector', async () => {
  const all = await Promise.all(
    ['epoll', 'poll', 'select', 'auto'].map((selector) => startWorker(selector, 'loop')),
  );
  const clients = await Promise.all(all.flatMap(({ ask }) => [ask('/'), ask('/'), ask('/')]));
  expect(new Set(all.map(({ port }) => port)).size).toBe(4);
  await Promise.all(all.map(({ worker }) => worker.terminate()));
  await Promise.all(clients.map(untilClosed));
});
