import { describe, expect, it } from 'vitest';
import { type Application, makeServer, validator } from '../../src/index.ts';
import {
  EpollSelector,
  type FileObject,
  PollSelector,
  type Selector,
  type SelectorKey,
} from '../../src/selectors/index.ts';
import { programStarter } from '../support/programs.ts';
import { eventually } from '../support/rawclient.ts';
import { clientKeeper, dist, serverKeeper } from '../support/servers.ts';

type Entry = readonly [call: string, fd: number, events?: number];

/** A user's own selector: writes down what is asked of it, and passes it on. */
class RecordingSelector implements Selector {
  readonly record: Entry[] = [];
  selects = 0;
  readonly inner: Selector;

  constructor(inner: Selector) {
    this.inner = inner;
  }

  register(file: FileObject, events: number, data?: unknown): SelectorKey {
    const key = this.inner.register(file, events, data);
    this.record.push(['register', key.fd, events]);
    return key;
  }

  unregister(file: FileObject): SelectorKey {
    const key = this.inner.unregister(file);
    this.record.push(['unregister', key.fd]);
    return key;
  }

  modify(file: FileObject, events: number, data?: unknown): SelectorKey {
    const key = this.inner.modify(file, events, data);
    this.record.push(['modify', key.fd, events]);
    return key;
  }

  select(timeout?: number | null): [SelectorKey, number][] {
    this.selects += 1;
    return this.inner.select(timeout);
  }

  getKey(file: FileObject): SelectorKey {
    return this.inner.getKey(file);
  }

  getMap(): ReadonlyMap<FileObject, SelectorKey> | null {
    return this.inner.getMap();
  }

  close(): void {
    this.record.push(['close', -1]);
    this.inner.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** One that has a descriptor to wait for. */
class WaitableSelector extends RecordingSelector {
  fileno(): number {
    return (this.inner as EpollSelector).fileno();
  }
}

const kinds: Record<string, () => RecordingSelector> = {
  'with fileno()': () => new WaitableSelector(new EpollSelector()),
  'without fileno()': () => new RecordingSelector(new PollSelector()),
};

const start = programStarter();
const MIB = 1024 * 1024;
const application: Application = validator((environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return environ.PATH_INFO === '/large' ? Buffer.alloc(4 * MIB, 'a') : ['hello'];
});

/** The descriptors that are registered and never unregistered, or the other way round. */
function unbalanced(record: readonly Entry[]): number[] {
  const balance = new Map<number, number>();
  for (const [call, fd] of record) {
    const step = call === 'register' ? 1 : call === 'unregister' ? -1 : 0;
    balance.set(fd, (balance.get(fd) ?? 0) + step);
  }
  return [...balance].filter(([, sum]) => sum !== 0).map(([fd]) => fd);
}

describe.each(Object.keys(kinds))("a user's own selector %s", (kind) => {
  const servers = serverKeeper();
  const clients = clientKeeper();

  it('serves, shuts down, serves again, and is left open', async () => {
    const selector = (kinds[kind] as () => RecordingSelector)();
    const server = servers.keep(makeServer('127.0.0.1', 0, application, { selector }));
    expect(server.selectorName).toBe(selector.constructor.name);
    for (const _ of [1, 2]) {
      const serving = server.serveForever();
      const client = await clients.connect(server.serverAddress);
      client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await client.until('hello');
      client.socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      expect((await client.end()).match(/hello/g)).toHaveLength(2);
      await server.shutdown();
      await serving;
    }
    const { record } = selector;
    const listening = server.fileno();
    const ofListener = record.filter(([, fd]) => fd === listening).map(([call]) => call);
    expect(ofListener).toEqual(['register', 'unregister', 'register', 'unregister']);
    expect(selector.selects).toBeGreaterThan(2);
    await server.serverClose();
    expect(unbalanced(record)).toEqual([]);
    expect(record.map(([call]) => call)).not.toContain('close');
    expect(selector.getMap()?.size).toBe(0);
    selector.close();
  });

  it('asks for writability while output is queued, and no longer', async () => {
    const selector = (kinds[kind] as () => RecordingSelector)();
    const server = servers.keep(makeServer('127.0.0.1', 0, application, { selector }));
    servers.serve(server);
    const client = await clients.connect(server.serverAddress);
    client.socket.pause();
    // Of a request that has come already, the answer would be queued before the first registration.
    const { sockets } = server.reactor;
    const isWatched = (): boolean =>
      [...sockets].some(({ fd }) => selector.getMap()?.has(fd) === true);
    await eventually(isWatched, 'the connection is watched');
    client.socket.write('GET /large HTTP/1.1\r\nHost: x\r\n\r\n');
    while (!selector.record.some(([call]) => call === 'modify')) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    client.socket.resume();
    await client.until('a'.repeat(4 * MIB));
    const changes = selector.record.filter(([call]) => call === 'modify');
    expect(changes.map(([, , events]) => events)).toEqual([3, 1]);
    await server.serverClose();
    expect(unbalanced(selector.record)).toEqual([]);
    selector.close();
  });

  it('is not asked while nothing happens', async () => {
    const selector = (kinds[kind] as () => RecordingSelector)();
    const server = servers.keep(makeServer('127.0.0.1', 0, application, { selector }));
    servers.serve(server);
    const client = await clients.connect(server.serverAddress);
    client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until('hello');
    await new Promise((resolve) => setTimeout(resolve, 100));
    const { selects } = selector;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(selector.selects).toBe(selects);
    await server.serverClose();
    selector.close();
  });

  it('blocks under serveForeverSync()', async () => {
    const inner = kind === 'with fileno()' ? 'EpollSelector' : 'PollSelector';
    const source = `
      import { ${inner}, makeServer } from '${dist}';
      class Own {
        inner = new ${inner}();
        register(...of) { return this.inner.register(...of); }
        unregister(...of) { return this.inner.unregister(...of); }
        modify(...of) { return this.inner.modify(...of); }
        select(...of) { return this.inner.select(...of); }
        getKey(...of) { return this.inner.getKey(...of); }
        getMap() { return this.inner.getMap(); }
        close() { this.inner.close(); }
      }
      const server = makeServer('127.0.0.1', 0, (environ, startResponse) => {
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        server.shutdown();
        return ['from ' + server.selectorName];
      }, { selector: new Own() });
      console.log('http://127.0.0.1:' + server.serverAddress[1] + '/');
      server.serveForeverSync();
      await server.serverClose();
      console.log('closed');
    `;
    const program = start(process.execPath, ['--input-type=module', '--eval', source], {
      env: process.env,
    });
    const url = await program.url('stdout');
    const response = await fetch(url, { headers: { Connection: 'close' } });
    expect(await response.text()).toBe('from Own');
    expect((await program.exit)[0]).toBe(0);
    expect(program.stdout).toContain('closed');
  });
});
