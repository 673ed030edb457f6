import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { listenDescriptors } from '../../src/index.ts';
import { programStarter } from '../support/programs.ts';
import { dist, requireDist } from '../support/servers.ts';

const start = programStarter();
const pid = String(process.pid);

function codeOf(env: NodeJS.ProcessEnv): string {
  try {
    listenDescriptors(env);
    return 'no error';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

/** What `script` prints that runs as the process to which two descriptors were passed. */
async function runWithTwo(script: string, variables: string): Promise<string> {
  requireDist();
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { _handle: handle } = listener as unknown as { _handle: { fd: number } };
  const program = start(
    '/bin/sh',
    ['-c', `LISTEN_PID=$$ ${variables} exec "$0" --input-type=module --eval "$1"`]
      .concat(process.execPath)
      .concat(`import { listenDescriptors, makeServer, demoApp } from '${dist}'; ${script}`),
    { stdio: ['ignore', 'pipe', 'pipe', handle.fd, handle.fd] },
  );
  // What it accepts from here on is for the other.
  listener.close();
  const [code] = await program.exit;
  expect([program.stderr, code]).toEqual(['', 0]);
  return program.stdout;
}

describe('without descriptors for this process', () => {
  it.each([
    {},
    { LISTEN_FDS: '2' },
    { LISTEN_PID: pid },
    { LISTEN_PID: '1', LISTEN_FDS: '2' },
    // Of another process it is no matter what it is.
    { LISTEN_PID: '1', LISTEN_FDS: 'two' },
  ])('%j: there are none', (env) => {
    expect(listenDescriptors(env as NodeJS.ProcessEnv)).toEqual([]);
  });
});

describe('variables that make no sense are refused', () => {
  it.each(['', '0', '-1', '+3', ' 3', '3x', '0x3', '1e1', '3.5', '99999999999', '2147483648'])(
    'LISTEN_PID=%s',
    (value) => {
      expect(codeOf({ LISTEN_PID: value, LISTEN_FDS: '1' })).toBe('ERR_RYEGATE_SYSTEMD');
    },
  );

  it.each(['', '0', '-1', '+1', 'one', '1.0', '2147483645', '99999999999'])(
    'LISTEN_FDS=%s',
    (value) => {
      expect(codeOf({ LISTEN_PID: pid, LISTEN_FDS: value })).toBe('ERR_RYEGATE_SYSTEMD');
    },
  );

  it.each(['', 'a', 'a:b:c'])('two descriptors and LISTEN_FDNAMES=%s', (names) => {
    const env = { LISTEN_PID: pid, LISTEN_FDS: '2', LISTEN_FDNAMES: names };
    expect(() => listenDescriptors(env)).toThrow(/names \('.*'\) for 2 descriptors/);
  });

  it('a descriptor that is not open', () => {
    const env = { LISTEN_PID: pid, LISTEN_FDS: '1000000' };
    expect(() => listenDescriptors(env)).toThrow(/descriptor \d+ is not open/);
  });

  it('and say what was found', () => {
    const env = { LISTEN_PID: pid, LISTEN_FDS: 'two' };
    expect(() => listenDescriptors(env)).toThrow(/LISTEN_FDS is 'two': expected a whole number/);
  });
});

it('takes the variables out when asked to, even if it refuses them, and otherwise not', () => {
  const env: NodeJS.ProcessEnv = { LISTEN_PID: '1', LISTEN_FDS: '1', LISTEN_FDNAMES: 'x', A: 'b' };
  listenDescriptors(env);
  expect(Object.keys(env)).toHaveLength(4);
  listenDescriptors(env, { unset: true });
  expect(env).toEqual({ A: 'b' });
  const wrong: NodeJS.ProcessEnv = { LISTEN_PID: 'x', LISTEN_FDS: '1' };
  expect(() => listenDescriptors(wrong, { unset: true })).toThrow();
  expect(wrong).toEqual({});
});

describe('descriptors that were passed', () => {
  it('come with their names, and are closed in programs that are run', async () => {
    const said = await runWithTwo(
      `import { readFileSync } from 'node:fs';
       const closes = (fd) => /flags:\\s+0?2\\d{6}$/m.test(readFileSync('/proc/self/fdinfo/' + fd, 'utf8'));
       console.log(JSON.stringify([listenDescriptors(), closes(3), closes(4)]));`,
      'LISTEN_FDS=2 LISTEN_FDNAMES=web:admin',
    );
    const found = [
      { fd: 3, name: 'web' },
      { fd: 4, name: 'admin' },
    ];
    expect(JSON.parse(said)).toEqual([found, true, true]);
  });

  it('are unknown without names, and can be served on', async () => {
    const said = await runWithTwo(
      `const [first, second] = listenDescriptors(process.env, { unset: true });
       const server = makeServer('', 0, demoApp, { fd: second.fd });
       const serving = server.serveForever();
       const { status } = await fetch('http://127.0.0.1:' + server.serverPort);
       console.log(first.name, second.name, status, process.env.LISTEN_FDS);
       await server.serverClose();`,
      'LISTEN_FDS=2',
    );
    expect(said).toBe('unknown unknown 200 undefined\n');
  });
});
