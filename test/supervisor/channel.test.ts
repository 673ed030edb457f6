import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { readInstruction, readReport } from '../../src/supervisor/messages.ts';
import { root } from '../support/programs.ts';
import { runScript } from '../support/servers.ts';
import { supervisorStarter } from '../support/supervised.ts';

const { start } = supervisorStarter();

describe('what an application sends to its parent', () => {
  it('is no report of its worker, which serves on', async () => {
    const supervised = await start({ workers: 1, timeout: 2 });
    const { workers } = supervised;
    expect(await supervised.ask('/rubbish')).toBe('sent');
    // For more than a few heartbeats.
    await sleep(1500);
    expect(supervised.workers).toEqual(workers);
    expect(Number(await supervised.ask())).toBe(workers[0]);
    expect(supervised.count('replaced')).toBe(0);
    expect(await supervised.end()).toBe(0);
  });

  it('does not get into the sums', async () => {
    const cwd = join(root, 'test/supervisor/programs');
    const output = await runScript(
      `const [, dist, cwd] = process.argv;
       const { Supervisor } = await import(dist);
       const settings = { application: './app.mjs', cwd, bind: [['127.0.0.1', 0]] };
       const supervisor = new Supervisor(settings, { log: () => {} });
       await supervisor.start();
       const [[host, port]] = supervisor.addresses;
       const headers = { Connection: 'close' };
       await (await fetch(\`http://\${host}:\${port}/rubbish\`, { headers })).text();
       await new Promise((resolve) => setTimeout(resolve, 300));
       const [{ requests, rss, state }] = supervisor.stats().workers;
       const { finished, aborted, killed } = await supervisor.stop();
       console.log(JSON.stringify([requests >= 0, rss > 0, state, finished, aborted, killed]));`,
      cwd,
    );
    expect(JSON.parse(output)).toEqual([true, true, 'ready', 0, 0, 0]);
  });
});

it.each([undefined, 1, 'drain', [], { type: 'drain' }, { ryegate: 'drain' }])(
  'what somebody else tells a worker is no instruction, and no report: %o',
  (message) => {
    expect(readInstruction(message)).toBe(null);
    expect(readReport(message)).toBe(null);
  },
);

it('reports and instructions are known by their envelope', () => {
  const ready = { type: 'ready', rss: 5 };
  expect(readReport({ ryegate: ready })).toEqual(ready);
  const reopen = { type: 'reopen' };
  expect(readInstruction({ ryegate: reopen })).toEqual(reopen);
});
