import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SupervisorSettings } from '../../src/index.ts';
import { RawClient, text } from '../support/rawclient.ts';
import { dist, runScript } from '../support/servers.ts';
import { isAlive, type Supervised, supervisorStarter, until } from '../support/supervised.ts';

// Old workers beside new ones, and old masters beside new ones.

const { start, folder } = supervisorStarter();

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const SERVES = `export const app = (environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return String(process.pid);
};`;
const FAILS = "throw new Error('broken on purpose');";

/** Says so when it is loaded, and goes on when the file `name` is there. */
function waits(name: string, then: string): string {
  return `import { existsSync } from 'node:fs';
    import { setTimeout as sleep } from 'node:timers/promises';
    console.error('waits for ${name}');
    while (!existsSync(new URL('${name}', import.meta.url))) await sleep(10);
    ${then}`;
}

/** Tells the processes that load it apart: `count` is 1 for the first one. */
function counts(then: string): string {
  return `import { appendFileSync, existsSync, readFileSync } from 'node:fs';
    import { setTimeout as sleep } from 'node:timers/promises';
    const file = new URL('count', import.meta.url);
    appendFileSync(file, 'x');
    const count = readFileSync(file).length;
    ${then}
    ${SERVES}`;
}

interface Programs {
  readonly cwd: string;
  write(name: string, text?: string): void;
}

function programs(): Programs {
  const cwd = folder();
  const write = (name: string, text = ''): void => writeFileSync(join(cwd, name), text);
  write('app.mjs', SERVES);
  return { cwd, write };
}

/** A supervisor that serves app.mjs, and what to write others with. */
async function serving(
  settings: Partial<SupervisorSettings> = {},
): Promise<[Supervised, Programs['write']]> {
  const { cwd, write } = programs();
  return [await start({ cwd, ...settings }), write];
}

function reload(supervised: Supervised, settings: Partial<SupervisorSettings>): void {
  supervised.reconfigure(settings);
  supervised.signal('SIGHUP');
}

async function askAt(path: string): Promise<number> {
  const client = await RawClient.connect(path);
  await client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  return Number(text(await client.response()));
}

describe('a reload that fails', () => {
  it('ends, though the only worker had retired before, and the next one is read', async () => {
    const [supervised, write] = await serving({ maxRequests: 1 });
    write('app.mjs', FAILS);
    await supervised.ask();
    await supervised.says('another one is tried later');
    supervised.signal('SIGHUP');
    await supervised.says('SIGHUP: worker');
    write('app.mjs', SERVES);
    supervised.signal('SIGHUP');
    await supervised.says('reloaded: 1 worker');
    expect(await supervised.end()).toBe(0);
  });

  it('when some of the new workers serve leaves none with its settings', async () => {
    const [supervised, write] = await serving({ workers: 2, env: { FLAVOUR: 'old' } });
    write('second.mjs', counts(`if (count === 2) ${FAILS}`));
    reload(supervised, { application: './second.mjs', env: { FLAVOUR: 'new' } });
    await supervised.says('SIGHUP: worker');
    await supervised.says('has settings that were taken back');
    await supervised.settled(2);
    const flavours = supervised.workers.map((pid) => {
      return /FLAVOUR=(\w+)/.exec(readFileSync(`/proc/${pid}/environ`, 'utf8'))?.[1];
    });
    expect(flavours).toEqual(['old', 'old']);
    expect(await supervised.end()).toBe(0);
  });

  it.each([
    ['fewer', 3, 1],
    ['more', 1, 3],
  ])('with %s workers is told once, and all old workers stay', async (_, before, after) => {
    const [supervised, write] = await serving({ workers: before });
    const { workers } = supervised;
    write('broken.mjs', FAILS);
    reload(supervised, { application: './broken.mjs', workers: after });
    await supervised.says('SIGHUP: worker');
    await supervised.settled(before);
    expect(supervised.workers).toEqual(workers);
    expect(supervised.count('could not start')).toBe(1);
    expect(supervised.count('is tried later')).toBe(0);
    expect(supervised.count('is replaced by a reload')).toBe(0);
    expect(await supervised.end()).toBe(0);
  });

  it('has the old settings used again, though the last old worker crashed meanwhile', async () => {
    const [supervised, write] = await serving();
    const [old = 0] = supervised.workers;
    write('broken.mjs', waits('go', FAILS));
    reload(supervised, { application: './broken.mjs' });
    await supervised.says('waits for go');
    process.kill(old, 'SIGKILL');
    await supervised.says('it is replaced at once');
    write('go');
    await supervised.says('SIGHUP: worker');
    await supervised.says(' serves\n', 2);
    expect(supervised.count('waits for go')).toBe(1);
    expect(Number(await supervised.ask())).toBeGreaterThan(0);
    expect(await supervised.end()).toBe(0);
  });

  it('is not one in which a worker from before it cannot start', async () => {
    const [supervised, write] = await serving({ workers: 1 });
    write('app.mjs', waits('old', FAILS));
    supervised.signal('SIGTTIN');
    await supervised.says('waits for old');
    write('app.mjs', waits('new', SERVES));
    supervised.signal('SIGHUP');
    await supervised.says('waits for new');
    write('old');
    await supervised.says('broken on purpose; it was to be replaced anyway');
    write('new');
    await supervised.says('reloaded: 1 worker');
    expect(supervised.count('SIGHUP: ')).toBe(0);
    expect(await supervised.end()).toBe(0);
  });
});

describe('TTOU', () => {
  it('after TTIN ends the worker that does not serve yet', async () => {
    const [supervised, write] = await serving();
    const { workers } = supervised;
    write('app.mjs', waits('go', SERVES));
    supervised.signal('SIGTTIN');
    await supervised.says('waits for go');
    supervised.signal('SIGTTOU');
    await until(() => supervised.workers.length === 1, 'there is one worker');
    expect(supervised.workers).toEqual(workers);
    expect(Number(await supervised.ask())).toBe(workers[0]);
    expect(await supervised.end()).toBe(0);
  });

  it('during a reload leaves a worker that serves', async () => {
    const [supervised, write] = await serving({ workers: 2 });
    const { workers } = supervised;
    write(
      'second.mjs',
      counts(`if (count > 1) console.error('waits');
        while (count > 1 && !existsSync(new URL('go', import.meta.url))) await sleep(10);`),
    );
    reload(supervised, { application: './second.mjs' });
    await supervised.says('waits\n');
    supervised.signal('SIGTTOU');
    await supervised.says('reloaded: ');
    await until(() => supervised.workers.length === 1, 'there is one worker');
    const [left = 0] = supervised.workers;
    expect(workers).not.toContain(left);
    expect(Number(await supervised.ask())).toBe(left);
    expect(await supervised.end()).toBe(0);
  });
});

it.each(['SIGKILL', 'SIGTERM'])(
  'while a worker that could not start is left for later, one that gets %s is replaced at once',
  async (signal) => {
    const { cwd, write } = programs();
    write(
      'app.mjs',
      `import { existsSync } from 'node:fs';
       if (existsSync(new URL('broken', import.meta.url))) ${FAILS}
       ${SERVES}`,
    );
    const output = await runScript(
      `const [, dist, cwd, signal] = process.argv;
       const { rmSync, writeFileSync } = await import('node:fs');
       const { Supervisor } = await import(dist);
       // What is left for later is left for ever.
       const { setTimeout: wait } = globalThis;
       globalThis.setTimeout = (act, ms) => wait(act, ms === 5000 ? 1e9 : ms);
       let isLater = () => {};
       const later = new Promise((resolve) => { isLater = resolve; });
       const log = (_, text) => text.endsWith('another one is tried later') && isLater();
       const settings = { application: './app.mjs', cwd, bind: [['127.0.0.1', 0]], workers: 2 };
       const supervisor = new Supervisor(settings, { log });
       await supervisor.start();
       writeFileSync(cwd + '/broken', '');
       const scaled = supervisor.scale(3).then(() => 'there are 3');
       await later;
       rmSync(cwd + '/broken');
       process.kill(supervisor.stats().workers[0].pid, signal);
       console.log(await Promise.race([scaled, new Promise((done) => wait(done, 10_000))]));
       await supervisor.stop();
       process.exit();`,
      ...[cwd, signal],
    );
    expect(output).toBe('there are 3\n');
  },
);

describe('a worker that drains', () => {
  /** Never answers, and hangs once it was told to end by a signal. */
  const STUCK = `process.once('SIGTERM', () => setTimeout(() => { for (;;); }, 100));
    export const app = () => {
      console.error('asked');
      return new Promise(() => {});
    };`;

  /** A supervisor whose worker has been asked. */
  async function stuck(
    settings: Partial<SupervisorSettings> = {},
  ): Promise<[Supervised, RawClient]> {
    const { cwd, write } = programs();
    write('app.mjs', STUCK);
    const supervised = await start({ cwd, ...settings });
    const client = await RawClient.connect(supervised.address);
    await client.send(REQUEST);
    await supervised.says('asked');
    return [supervised, client];
  }

  it('has less time each time that somebody is in a greater hurry', async () => {
    const [supervised, client] = await stuck();
    supervised.signal('SIGHUP');
    await supervised.says('is replaced by a reload');
    await supervised.says('reloaded');
    supervised.signal('SIGTERM');
    await supervised.says('got SIGTERM');
    expect(await supervised.end('SIGINT')).toBe(1);
    client.destroy();
    // It breaks off what is left, and is not killed.
    expect(supervised.count('was killed')).toBe(0);
  });

  it('and is hung is found out, however long it may take', async () => {
    const [supervised, client] = await stuck({ timeout: 1, gracefulTimeout: 3600 });
    const [worker = 0] = supervised.workers;
    supervised.signal('SIGTERM');
    await supervised.says('got SIGTERM');
    process.kill(worker, 'SIGSTOP');
    expect(await supervised.ended()).toBe(1);
    client.destroy();
    expect(supervised.said).toContain(`worker ${worker} was not heard of for 1 seconds`);
  });

  it('as somebody else told it, and does not end, is killed', async () => {
    const [supervised, client] = await stuck({ timeout: 0, gracefulTimeout: 1 });
    const [worker = 0] = supervised.workers;
    process.kill(worker, 'SIGTERM');
    await supervised.says(`worker ${worker} did not end in time, and was killed`);
    client.destroy();
    expect(await supervised.end('SIGINT')).toBe(0);
  });

  it('after it was found to hang has no more time for it', async () => {
    const { cwd, write } = programs();
    write(
      'app.mjs',
      `import { writeSync } from 'node:fs';
       process.on('SIGABRT', () => {});
       process.on('SIGUSR2', () => {
         writeSync(2, 'hangs\\n');
         for (;;);
       });
       ${SERVES}`,
    );
    const output = await runScript(
      `const [, dist, cwd] = process.argv;
       const load = (name) => import(new URL('supervisor/' + name, dist));
       const { resolveSettings } = await load('settings.js');
       const { WorkerProcess } = await load('workerprocess.js');
       const settings = resolveSettings({ application: './app.mjs', cwd }, cwd);
       const owner = {
         workerReady: () => process.kill(worker.pid, 'SIGUSR2'),
         workerWrote: () => {
           worker.abort();
           worker.drain({ delay: 0, deadline: 3600, grace: 3600 }, true);
         },
         workerEnded: (_, { signal, hung }) => console.log(signal, hung),
       };
       const worker = new WorkerProcess(owner, { settings, listeners: [], check: false });`,
      cwd,
    );
    expect(output).toBe('SIGKILL true\n');
  });
});

describe('the file of a unix socket', () => {
  /** A supervisor at a unix socket, with a new master that serves. */
  async function upgraded(path: string): Promise<[Supervised, number]> {
    const [supervised] = await serving({ bind: [path] });
    supervised.signal('SIGUSR2');
    await supervised.says('is ready: ');
    const [successor = 0] = supervised.successors;
    return [supervised, successor];
  }

  async function end(pid: number): Promise<void> {
    process.kill(pid, 'SIGTERM');
    await until(() => !isAlive(pid), `process ${pid} has ended`);
  }

  it('stays when a new master is refused another address', async () => {
    const path = join(folder(), 'socket');
    const [supervised] = await serving({ bind: [path] });
    const other = createServer().listen(0, '127.0.0.1');
    await until(() => other.listening, 'the other server listens');
    const { port } = other.address() as { port: number };
    supervised.reconfigure({ bind: [path, ['127.0.0.1', port]] });
    supervised.signal('SIGUSR2');
    await supervised.says('which was to take over, ended with status 1');
    other.close();
    expect(existsSync(path)).toBe(true);
    expect(supervised.workers).toContain(await askAt(path));
    expect(await supervised.end()).toBe(0);
    expect(existsSync(path)).toBe(false);
  });

  it('stays when the old master gives up the address, and the new one has it', async () => {
    const path = join(folder(), 'socket');
    const [supervised, successor] = await upgraded(path);
    reload(supervised, { bind: [['127.0.0.1', 0]] });
    await supervised.says(' ended\n');
    expect(existsSync(path)).toBe(true);
    expect(supervised.workers).not.toContain(await askAt(path));
    expect(await supervised.end()).toBe(0);
    expect(existsSync(path)).toBe(true);
    await end(successor);
    expect(existsSync(path)).toBe(false);
  });

  it('stays when the new master gives up the address, and the old one has it', async () => {
    const path = join(folder(), 'socket');
    const [supervised, successor] = await upgraded(path);
    supervised.reconfigure({ bind: [['127.0.0.1', 0]] });
    process.kill(successor, 'SIGHUP');
    await supervised.says(' ended\n');
    expect(existsSync(path)).toBe(true);
    expect(supervised.workers).toContain(await askAt(path));
    await end(successor);
    expect(existsSync(path)).toBe(true);
    await supervised.says('which was to take over');
    expect(await supervised.end()).toBe(0);
    expect(existsSync(path)).toBe(false);
  });

  it('of the new master alone is removed when it ends, though the old one goes on', async () => {
    const [path, another] = [join(folder(), 'socket'), join(folder(), 'another')];
    const [supervised] = await serving({ bind: [path] });
    supervised.reconfigure({ bind: [path, another] });
    supervised.signal('SIGUSR2');
    await supervised.says('is ready: ');
    const [successor = 0] = supervised.successors;
    expect(existsSync(another)).toBe(true);
    await end(successor);
    expect([existsSync(path), existsSync(another)]).toEqual([true, false]);
    expect(await supervised.end()).toBe(0);
  });
});

describe('a master that ends while another one serves', () => {
  /** Answers, once its server drains, whether the service ends. */
  const ENDING = `import { WSGIRequestHandler, WSGIServer } from '${dist}';
    import { setTimeout as sleep } from 'node:timers/promises';
    export function startWorker(context) {
      const servers = context.listeners.map(({ fd, address }) => {
        const server = new WSGIServer(address, WSGIRequestHandler, { fd });
        server.setApp(async (environ, startResponse) => {
          console.error('asked');
          while (!server.draining) await sleep(10);
          startResponse('200 OK', [['Content-Type', 'text/plain']]);
          return String(context.ending);
        });
        return server;
      });
      return { servers };
    }`;

  it('does not have its workers tell that the service ends', async () => {
    const { cwd, write } = programs();
    write('module.mjs', ENDING);
    const supervised = await start({ cwd, workerModule: './module.mjs' });
    const client = await RawClient.connect(supervised.address);
    await client.send(REQUEST);
    await supervised.says('asked');
    supervised.signal('SIGUSR2');
    await supervised.says('is ready: ');
    expect(await supervised.end()).toBe(0);
    expect(text(await client.response())).toBe('false');
    const last = supervised.ask();
    await supervised.says('asked', 2);
    for (const pid of supervised.successors) process.kill(pid, 'SIGTERM');
    expect(await last).toBe('true');
  });

  it('does not wait for clients to go elsewhere, be it the new one', async () => {
    const [supervised] = await serving({ drainDelay: 3600 });
    supervised.signal('SIGUSR2');
    await supervised.says('is ready: ');
    const [successor = 0] = supervised.successors;
    process.kill(successor, 'SIGTERM');
    await supervised.says('which was to take over, ended with status 0');
    expect(supervised.workers).toContain(Number(await supervised.ask()));
    expect(await supervised.end('SIGINT')).toBe(0);
  });
});
