import { describe, expect, it } from 'vitest';
import { commandLine } from '../support/commandline.ts';
import { main } from '../support/programs.ts';
import { RawClient, text } from '../support/rawclient.ts';
import { supervisorStarter } from '../support/supervised.ts';

const { start } = supervisorStarter();
const { folder: cwd, start: run } = commandLine({
  'hoarding.mjs': `import { openSync } from 'node:fs';

    const kept = [];

    export function app(environ, startResponse) {
      startResponse('200 OK', [['Content-Type', 'text/plain']]);
      try {
        for (;;) kept.push(openSync('/dev/null'));
      } catch (error) {
        return error.code;
      }
    }`,
});

describe('a process that the system refuses to start', () => {
  // One variable may have 128 KiB: E2BIG, which Node throws, where it tells of other errors later.
  const env = { LARGE: 'x'.repeat(200_000) };

  it('fails a reload, and the workers stay', async () => {
    const supervised = await start({ workers: 2 });
    const { workers } = supervised;
    supervised.reconfigure({ env });
    supervised.signal('SIGHUP');
    await supervised.says('SIGHUP: a worker could not start: spawn E2BIG, in the folder');
    expect(supervised.workers).toEqual(workers);
    expect(Number(await supervised.ask())).toBeGreaterThan(0);
    // With the settings of before.
    process.kill(workers[0] as number, 'SIGKILL');
    await supervised.says(' serves\n', 3);
    expect(await supervised.end()).toBe(0);
  });

  it('fails a reload with preload', async () => {
    const supervised = await start({ preload: true });
    const { workers } = supervised;
    supervised.reconfigure({ env });
    supervised.signal('SIGHUP');
    await supervised.says('SIGHUP: no worker can start: spawn E2BIG');
    expect(supervised.workers).toEqual(workers);
    expect(await supervised.end()).toBe(0);
  });
});

it('a worker that has no descriptor left drains all the same, and ends', async () => {
  const command = 'ulimit -n 100; exec "$0" "$@"';
  const args = [main, '--bind', '127.0.0.1:0', '-w', '1', '-q', 'hoarding.mjs'];
  const program = run('sh', ['-c', command, process.execPath, ...args], { cwd });
  const { hostname, port } = new URL(await program.url());
  const client = await RawClient.connect([hostname, Number(port)]);
  await client.send('GET /hoard HTTP/1.1\r\nHost: x\r\n\r\n');
  expect(text(await client.response())).toBe('EMFILE');
  const begun = performance.now();
  // To accept fails then, whether somebody waits or not.
  program.child.kill('SIGTERM');
  expect(await client.ended()).toBe('fin');
  expect(await program.exit).toEqual([0, null]);
  // Long before the deadline.
  expect(performance.now() - begun).toBeLessThan(15_000);
  expect(program.stderr).toContain('EMFILE');
});
