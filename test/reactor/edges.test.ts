import { readFileSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { native } from '../../src/native.ts';
import { type EpollSelector, makeSelector } from '../../src/selectors/index.ts';
import { describeBackends } from '../support/backends.ts';
import { type Program, programStarter } from '../support/programs.ts';
import {
  type Bench,
  benchMaker,
  type Connection,
  type Recorder,
  readAvailable,
} from '../support/reactors.ts';

const makeBench = benchMaker();
const start = programStarter();

/** A connection that has been watched for a while: there was nothing to read in the last turn. */
async function settled(bench: Bench): Promise<Connection> {
  const { client, ...connection } = await bench.connectTCP();
  const peer = descriptorOf(client);
  settle(bench, connection.protocol, peer);
  return { ...connection, peer };
}

function settle(bench: Bench, protocol: Recorder, peer: number): void {
  writeSync(peer, 'once');
  bench.step(3);
  expect(protocol.received).toBe('once');
  protocol.received = '';
  protocol.log.length = 0;
}

/** Written to directly, so that it has gone before the next turn. */
function descriptorOf(client: Socket): number {
  return (client as unknown as { _handle: { fd: number } })._handle.fd;
}

/** Sends line for line what it is told, as urgent data what begins with "!". */
const CLIENT = `
import socket, sys
peer = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
print('connected', flush=True)
for line in sys.stdin:
    text = line.rstrip('\\n').encode()
    peer.send(text, socket.MSG_OOB if text.startswith(b'!') else 0)
    if text.endswith(b'.'):
        print('sent ' + text.decode(), flush=True)
`;

describeBackends('input that is not received at once', (name) => {
  it('is followed by the end that had come with it', async () => {
    const bench = makeBench(name);
    const { protocol, peer } = await settled(bench);
    writeSync(peer, 'the last');
    native.shutdown(peer);
    bench.step();
    expect(protocol.received).toBe('the last');
    bench.step(2);
    expect(protocol.log).toEqual(['data', 'eof']);
  });

  it('is received to its end, when it is more than fits into one receive', async () => {
    const bench = makeBench(name);
    const { protocol, peer } = await settled(bench);
    const sent = writeSync(peer, Buffer.alloc(150_000, 'x'));
    expect(sent).toBeGreaterThan(100_000);
    bench.step(10);
    expect(protocol.received.length).toBe(sent);
  });

  it('is received from everybody, when it is more than the slab holds', async () => {
    const bench = makeBench(name);
    const connections: Connection[] = [];
    while (connections.length < 12) connections.push(await settled(bench));
    const sent = connections.map(({ peer }) => writeSync(peer, Buffer.alloc(150_000, 'x')));
    bench.step(10);
    expect(connections.map(({ protocol }) => protocol.received.length)).toEqual(sent);
  });

  it('is received when the socket reads again, were it in the same turn', async () => {
    const bench = makeBench(name);
    const { socket, protocol, peer } = await settled(bench);
    protocol.onData = () => {
      socket.pause();
      writeSync(peer, ' second');
      socket.resume();
      protocol.onData = () => socket.pause();
    };
    writeSync(peer, 'first');
    bench.step(2);
    writeSync(peer, ' third');
    bench.step(3);
    expect(protocol.received).toBe('first second');
    socket.resume();
    bench.step();
    expect(protocol.received).toBe('first second third');
  });

  it('is received behind output that the peer did not take at first', async () => {
    const bench = makeBench(name);
    const { socket, protocol, peer } = await settled(bench);
    socket.write(Buffer.alloc(16 * 1024 * 1024));
    bench.step();
    expect(socket.buffered).toBeGreaterThan(0);
    writeSync(peer, 'meanwhile');
    native.shutdown(peer);
    bench.step(3);
    expect(protocol.log).toEqual(['data', 'eof']);
  });

  it('is received when it was told of while the socket did not read', async () => {
    const bench = makeBench(name);
    const { socket, protocol, peer } = await settled(bench);
    writeSync(peer, 'told once');
    socket.pause();
    // As a harvest would, before the flush that looks at the pause.
    for (const [key, events] of bench.reactor.selector.select(1)) {
      if (key.fd === socket.fd) socket.ready(events);
    }
    socket.resume();
    bench.step(3);
    expect(protocol.received).toBe('told once');
  });

  it('is received behind urgent data, before which a receive stops', async () => {
    const bench = makeBench(name);
    const { protocol, client } = await bench.accept(async (port): Promise<Program> => {
      const program = start('python3', ['-c', CLIENT, `${port}`]);
      await program.says(/connected/, 'stdout');
      return program;
    });
    const send = async (...lines: string[]): Promise<void> => {
      client.child.stdin?.write(`${lines.join('\n')}\n`);
      await client.says(new RegExp(`^sent ${lines.at(-1)}$`, 'm'), 'stdout');
    };
    await send('once.');
    bench.step(3);
    expect(protocol.received).toBe('once.');
    await send('before', '!', 'after.');
    bench.step(5);
    expect(protocol.received).toBe('once.beforeafter.');
  });
});

/** How epoll watches `fd`: by edge, by level, or not at all. */
function watched(bench: Bench, fd: number): string {
  const { selector } = bench.reactor;
  const info = readFileSync(`/proc/self/fdinfo/${(selector as EpollSelector).fileno()}`, 'latin1');
  const events = new RegExp(`^tfd: +${fd} +events: +([0-9a-f]+)`, 'm').exec(info)?.[1];
  if (events === undefined) return 'not at all';
  return Number.parseInt(events, 16) >= 2 ** 31 ? 'by edge' : 'by level';
}

describe('epoll', () => {
  it('watches by edge until a receive may have left something', async () => {
    const bench = makeBench('epoll');
    const small = await settled(bench);
    const large = await settled(bench);
    const ending = await settled(bench);
    expect(watched(bench, small.socket.fd)).toBe('by edge');
    writeSync(small.peer, Buffer.alloc(4095));
    writeSync(large.peer, Buffer.alloc(4096));
    writeSync(ending.peer, 'the last');
    native.shutdown(ending.peer);
    bench.step();
    expect(watched(bench, small.socket.fd)).toBe('by edge');
    expect(watched(bench, large.socket.fd)).toBe('by level');
    expect(watched(bench, ending.socket.fd)).toBe('by level');
    bench.step();
    expect(watched(bench, ending.socket.fd)).toBe('not at all');
  });

  it('watches by level as long as output waits', async () => {
    const bench = makeBench('epoll');
    const { socket, peer } = await settled(bench);
    socket.write(Buffer.alloc(16 * 1024 * 1024));
    bench.step();
    expect(watched(bench, socket.fd)).toBe('by level');
    while (socket.buffered > 0) {
      readAvailable(peer);
      bench.step();
    }
    expect(watched(bench, socket.fd)).toBe('by edge');
  });

  it('watches a unix socket by level, where a receive may stop before a descriptor', () => {
    const bench = makeBench('epoll');
    const { socket, protocol, peer } = bench.connect();
    settle(bench, protocol, peer);
    expect(watched(bench, socket.fd)).toBe('by level');
  });

  it('watches by level for the owner of a selector, who may ask it as well', async () => {
    const selector = makeSelector('epoll');
    const bench = makeBench(selector);
    const { socket, protocol, peer } = await settled(bench);
    expect(watched(bench, socket.fd)).toBe('by level');
    writeSync(peer, 'told twice');
    expect(selector.select(0).map(([key]) => key.fd)).toEqual([socket.fd]);
    bench.step();
    expect(protocol.received).toBe('told twice');
    bench.reactor.close();
    selector.close();
  });
});
