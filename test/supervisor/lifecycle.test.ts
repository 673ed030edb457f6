import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { RawClient, text } from '../support/rawclient.ts';
import { isAlive, quickStatus, supervisorStarter, until } from '../support/supervised.ts';

const { start, launch, folder } = supervisorStarter();

describe('a supervisor', () => {
  it('starts its workers, which share the address, and ends with them', async () => {
    const supervised = await start({ workers: 2 });
    const { workers } = supervised;
    expect(workers.length).toBe(2);
    await supervised.says('ready: 2 workers\n');
    expect(supervised.said).toMatch(/listening on [\s\S]* serves\n[\s\S]* serves\n[\s\S]*ready: 2/);
    expect(workers).toContain(Number(await supervised.ask()));
    expect(await supervised.ask('/multiprocess')).toBe('true');
    expect(await supervised.end()).toBe(0);
    expect(workers.filter(isAlive)).toEqual([]);
    expect(await supervised.ask()).toBe(null);
  });

  it('gives a single worker wsgi.multiprocess false, its environment and options of node', async () => {
    const supervised = await start({ env: { FLAVOUR: 'rye' }, nodeOptions: ['--no-warnings'] });
    expect(await supervised.ask('/multiprocess')).toBe('false');
    expect(await supervised.ask('/env')).toBe('["rye",["--no-warnings"]]');
  });

  it('listens on several addresses, and removes the file of a unix socket in the end', async () => {
    const path = join(folder(), 'socket');
    const supervised = await start({ bind: [['127.0.0.1', 0], path], workers: 2 });
    const client = await RawClient.connect(path);
    await client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(supervised.workers).toContain(Number(text(await client.response())));
    expect(supervised.workers).toContain(Number(await supervised.ask()));
    supervised.signal('SIGHUP');
    await supervised.says(' ended\n', 2);
    expect(existsSync(path)).toBe(true);
    expect(await supervised.end()).toBe(0);
    expect(existsSync(path)).toBe(false);
  });

  it('ends with status 1 when an address is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await until(() => other.listening, 'the other server listens');
    const { port } = other.address() as { port: number };
    const supervised = launch({ bind: [['127.0.0.1', port]] });
    expect(await supervised.ended()).toBe(1);
    expect(supervised.said).toMatch(/bind failed with EADDRINUSE: 127\.0\.0\.1:\d+: another/);
    other.close();
  });

  it.each([
    ['cannot be loaded', './missing.mjs', /no worker can start: there is no file .*missing\.mjs/],
    ['fails while it is loaded', './broken.mjs', /no worker can start: .*broken on purpose/],
  ])('ends with status 3 when the application %s, and says so once', async (_, name, reason) => {
    const supervised = launch({ application: name, workers: 4 });
    expect(await supervised.ended()).toBe(3);
    expect(supervised.said).toMatch(reason);
    expect(supervised.count('no worker can start')).toBe(1);
    expect(supervised.workers).toEqual([]);
  });

  it('ends quietly when it is told to while it starts', async () => {
    const supervised = launch({ workers: 2 });
    await supervised.says('listening on');
    expect(await supervised.end()).toBe(0);
    expect(supervised.said).not.toMatch(/stopped|replaced|cannot|failed/);
    expect(supervised.workers).toEqual([]);
  });

  it('killed, leaves workers that finish what they are answering, and end', async () => {
    const supervised = await start({ workers: 2 });
    const { workers } = supervised;
    const answer = supervised.ask('/slow');
    await sleep(50);
    await supervised.end('SIGKILL');
    expect(workers).toContain(Number(await answer));
    await until(() => !workers.some(isAlive), 'the workers have ended');
  });

  it('passes on what workers write to standard error in whole lines', async () => {
    const supervised = await start();
    await supervised.ask('/say');
    await supervised.says('half a line, and the rest\n');
  });
});

describe('SIGTERM', () => {
  it('to all its processes at once, as systemd sends it, is no different', async () => {
    const supervised = await start({ workers: 2, drainDelay: 3 });
    const answer = supervised.ask('/slow');
    await sleep(50);
    const { workers } = supervised;
    for (const worker of workers) process.kill(worker, 'SIGTERM');
    const end = supervised.end();
    await sleep(100);
    expect(workers).toContain(Number(await supervised.ask()));
    expect(workers).toContain(Number(await answer));
    expect(await end).toBe(0);
  });

  it('to a worker alone has it replaced, and loses no request', async () => {
    const supervised = await start({ workers: 2 });
    const answer = supervised.ask('/slow');
    await sleep(50);
    const { workers } = supervised;
    for (const worker of workers) process.kill(worker, 'SIGTERM');
    expect(workers).toContain(Number(await answer));
    await supervised.says(' serves\n', 4);
    expect(workers).not.toContain(Number(await supervised.ask()));
    expect(supervised.count('crash')).toBe(0);
    expect(await supervised.end()).toBe(0);
  });

  it('lets a slow reader have all of its answer', async () => {
    const supervised = await start({ workers: 2 });
    const client = await RawClient.connect(supervised.address);
    client.socket.pause();
    await client.send('GET /large HTTP/1.1\r\nHost: x\r\n\r\n');
    await sleep(100);
    const end = supervised.end();
    await sleep(300);
    client.socket.resume();
    expect((await client.response()).body.length).toBe(4 * 1024 * 1024);
    expect(await end).toBe(0);
  });

  it('ends idle connections at once', async () => {
    const supervised = await start();
    const client = await RawClient.connect(supervised.address);
    await client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.response();
    const begun = performance.now();
    const end = supervised.end();
    expect(await client.ended()).toBe('fin');
    // Clients are told that it may stay open for longer than a minute.
    expect(performance.now() - begun).toBeLessThan(8000);
    expect(await end).toBe(0);
  });

  it('leaves time for those who send clients here, when drainDelay says so', async () => {
    const supervised = await start({ workers: 2, drainDelay: 3 });
    const begun = performance.now();
    const end = supervised.end();
    await supervised.says('got SIGTERM');
    expect(Number(await supervised.ask())).toBeGreaterThan(0);
    expect(await end).toBe(0);
    expect(performance.now() - begun).toBeGreaterThan(2950);
    expect(await supervised.ask()).toBe(null);
  });

  it.each([
    ['that waits for ever', '/stuck'],
    ['that blocks its worker', '/block'],
  ])('with a handler %s ends soon after the deadline, with status 1', async (_, path) => {
    const supervised = await start({ workers: 2, gracefulTimeout: 1 });
    const answer = supervised.ask(path);
    await sleep(100);
    const begun = performance.now();
    expect(await supervised.end()).toBe(1);
    const took = performance.now() - begun;
    expect(took).toBeGreaterThan(900);
    expect(took).toBeLessThan(10_000);
    expect(await answer).toBe(null);
  });
});

describe.each(['SIGINT', 'SIGQUIT'] as const)('%s', (signal) => {
  it('ends workers that a reload has replaced, too', async () => {
    const supervised = await start();
    const client = await RawClient.connect(supervised.address);
    await client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.response();
    supervised.signal('SIGHUP');
    await supervised.says('is replaced by');
    const end = supervised.end(signal);
    expect(await client.ended()).toBe('fin');
    client.destroy();
    const status = await end;
    await supervised.program.exit;
    expect(status).toBe(quickStatus(supervised.said));
  });

  it('lets only what is nearly done finish', async () => {
    const supervised = await start({ workers: 2 });
    const { workers } = supervised;
    const [slow, stuck] = [supervised.ask('/slow'), supervised.ask('/stuck')];
    await sleep(250);
    const begun = performance.now();
    await supervised.end(signal);
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(workers).toContain(Number(await slow));
    expect(await stuck).toBe(null);
  });

  it('during SIGTERM makes it quick, and again kills', async () => {
    const supervised = await start({ workers: 2 });
    const answers = [supervised.ask('/stuck'), supervised.ask('/block')];
    await sleep(100);
    supervised.signal('SIGTERM');
    await supervised.says('got SIGTERM');
    supervised.signal(signal);
    await supervised.says(`got ${signal}`);
    expect(await supervised.end(signal)).toBe(1);
    expect(await Promise.all(answers)).toEqual([null, null]);
  });
});

describe('the number of workers', () => {
  it('follows TTIN and TTOU, and is at least one', async () => {
    const supervised = await start();
    supervised.signal('SIGTTIN');
    await until(() => supervised.workers.length === 2, 'there are two');
    supervised.signal('SIGTTIN');
    await supervised.says(' serves\n', 3);
    for (let i = 1; i <= 5; i++) {
      supervised.signal('SIGTTOU');
      // Two that wait together are one to the system.
      await supervised.says('got SIGTTOU', i);
    }
    await until(() => supervised.workers.length === 1, 'there is one');
    expect(supervised.workers).toContain(Number(await supervised.ask()));
  });

  it('is none after WINCH, until HUP; clients wait meanwhile', async () => {
    const supervised = await start({ workers: 2 });
    supervised.signal('SIGWINCH');
    await until(() => supervised.workers.length === 0, 'there are none');
    const answer = supervised.ask();
    supervised.signal('SIGHUP');
    expect(Number(await answer)).toBeGreaterThan(0);
    await until(() => supervised.workers.length === 2, 'there are two');
    expect(await supervised.end()).toBe(0);
  });
});

describe('a worker module', () => {
  it('serves what it likes, and reopens its logs on USR1', async () => {
    const log = join(folder(), 'log');
    const supervised = await start({
      application: undefined as never,
      workerModule: './echoing.mjs',
      workerData: { log },
      workers: 2,
    });
    const client = await RawClient.connect(supervised.address);
    client.socket.end('echo me');
    expect((await client.rest()).toString()).toBe('ECHO ME');
    supervised.signal('SIGUSR1');
    const lines = (): string[] => readFileSync(log, 'utf8').split('\n').filter(Boolean);
    await until(() => existsSync(log) && lines().length === 2, 'both have reopened it');
    expect(await supervised.end()).toBe(0);
    expect(lines().filter((line) => line.startsWith('closed'))).toHaveLength(2);
  });
});
