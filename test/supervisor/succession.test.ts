import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { commandLine } from '../support/commandline.ts';
import { NotifySocket } from '../support/notifysocket.ts';
import { main, type Program } from '../support/programs.ts';
import { get } from '../support/servers.ts';
import { childrenOf, isAlive, until } from '../support/supervised.ts';
import { requireTool } from '../support/tools.ts';

// USR2 under a service manager, as far as its sockets go.

const { folder, ryegate, start } = commandLine({
  'app.mjs': `export function app(environ, startResponse) {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    // The number of its master, and nothing else.
    const secrets = /^(RYEGATE_LISTENERS|NOTIFY_SOCKET|WATCHDOG_.*|LISTEN_.*)$/;
    const leaks = Object.keys(process.env).filter((name) => secrets.test(name));
    return [process.ppid, ...leaks].join(' ');
  }`,
});

const programs: Program[] = [];
let count = 0;

afterEach(() => {
  for (const pid of programs.splice(0).flatMap(successorsOf)) {
    if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  }
});

function successorsOf({ stderr }: Program): number[] {
  return [...stderr.matchAll(/process (\d+) takes over/g)].map(([, pid]) => Number(pid));
}

/** What systemd listens to, by NotifyAccess=; pings come in between at any time. */
function told({ received }: NotifySocket, first: number, access: 'main' | 'all'): string[] {
  let main = first;
  const heard: string[] = [];
  for (const [, text, pid] of received) {
    if (access === 'main' && pid !== main) continue;
    main = Number(/^MAINPID=(\d+)$/.exec(text)?.[1] ?? main);
    if (!/^(WATCHDOG|EXTEND_TIMEOUT_USEC|STATUS)=/.test(text)) heard.push(text);
  }
  return heard;
}

interface Service {
  readonly program: Program;
  readonly url: string;
  readonly notify: NotifySocket;
  /** The process id of the first master. */
  readonly old: number;
  upgrade(): Promise<number>;
}

async function service(run: (notify: string) => Program): Promise<Service> {
  count += 1;
  const notify = await NotifySocket.open(start, join(folder, `notify${count}`));
  const program = run(notify.path);
  programs.push(program);
  const old = program.child.pid as number;
  const url = await program.url();
  const upgrade = async (): Promise<number> => {
    program.child.kill('SIGUSR2');
    await program.says(/process \d+ is ready/);
    const [successor = 0] = successorsOf(program);
    return successor;
  };
  return { program, url, notify, old, upgrade };
}

function byWorkers(): Promise<Service> {
  const args = ['--bind', '127.0.0.1:0', '-w', '1', '-q', '--worker-timeout', '5s', 'app.mjs'];
  return service((path) => ryegate(args, { NOTIFY_SOCKET: path, WATCHDOG_USEC: '400000' }));
}

const ask = async (url: string): Promise<string> =>
  await (await fetch(url, { headers: { Connection: 'close' } })).text();

describe('USR2 with a notify socket', () => {
  it('has the new master called the main process, which is ready then', async () => {
    const { program, url, notify, old, upgrade } = await byWorkers();
    await notify.until('READY=1');
    const successor = await upgrade();
    await until(() => told(notify, old, 'main').length === 3, 'the new master is ready');
    program.child.kill('SIGTERM');
    await until(() => !isAlive(old), 'the old master has ended');
    // The service goes on, and is watched: nobody says that it stops.
    const { length } = notify.received;
    expect(await ask(url)).toBe(String(successor));
    const pings = (): unknown[] => {
      const later = notify.received.slice(length);
      return later.filter(([, text, pid]) => text === 'WATCHDOG=1' && pid === successor);
    };
    await until(() => pings().length > 1, 'it pings');
    expect(notify.messages.join()).not.toContain('STOPPING');
    process.kill(successor, 'SIGTERM');
    await until(() => !isAlive(successor), 'the new master has ended');
    await notify.until('STOPPING=1');
    const main = `MAINPID=${successor}`;
    expect(told(notify, old, 'main')).toEqual(['READY=1', main, 'READY=1', 'STOPPING=1']);
    // The old one tells it once more when it ends.
    expect(told(notify, old, 'all')).toEqual(['READY=1', main, 'READY=1', main, 'STOPPING=1']);
  });

  it.each([
    // It has not had the time to say so.
    ['SIGKILL', 'all'],
    ['SIGTERM', 'all'],
    ['SIGTERM', 'main'],
  ] as const)(
    'and %s to the new master: the old one is the main process again (NotifyAccess=%s)',
    async (signal, access) => {
      const { program, url, notify, old, upgrade } = await byWorkers();
      await notify.until('READY=1');
      const successor = await upgrade();
      await until(() => told(notify, old, 'main').length === 3, 'the new master is ready');
      const workers = childrenOf(successor).alive;
      process.kill(successor, signal);
      await program.says(/which was to take over/);
      // They may accept until they know.
      await until(() => !workers.some(isAlive), 'its workers have ended');
      await notify.until(`MAINPID=${old}`);
      expect(notify.messages.join()).not.toContain('STOPPING');
      expect(await ask(url)).toBe(String(old));
      expect(await program.stop()).toEqual([0, null]);
      await notify.until('STOPPING=1');
      const heard = told(notify, old, access);
      const back = heard.indexOf(`MAINPID=${old}`);
      expect(heard.slice(0, back)).toEqual(['READY=1', `MAINPID=${successor}`, 'READY=1']);
      expect(new Set(heard.slice(back))).toEqual(new Set([`MAINPID=${old}`, 'STOPPING=1']));
      expect(heard.at(-1)).toBe('STOPPING=1');
    },
  );
});

it('hands the sockets of systemd on to the new master, and to the one after', async () => {
  requireTool('systemd-socket-activate', '--version', 'systemd');
  const paths = ['one', 'two'].map((name) => join(folder, `${name}.sock`));
  const listen = paths.flatMap((path) => ['-l', path]);
  const notify = await NotifySocket.open(start, join(folder, 'notify'));
  const serve = ['-w', '1', '-q', '--bind', 'systemd:web', '--bind', '127.0.0.1:0', 'app.mjs'];
  const program = start(
    'systemd-socket-activate',
    [
      ...[...listen, '--fdname=web', '-E', `NOTIFY_SOCKET=${notify.path}`],
      ...[process.execPath, main, ...serve],
    ],
    { cwd: folder },
  );
  programs.push(program);
  await program.says(/Listening on .*two\.sock/);
  const masters = async (): Promise<unknown[]> => {
    const answers = await Promise.all([...paths.map((path) => get(path)), get(at)]);
    return answers.map(({ body }) => Number(body));
  };
  // For its first client it is replaced by the program.
  const first = get(paths[0] as string);
  const { port } = new URL(await program.url());
  const at = ['127.0.0.1', Number(port)] as const;
  let master = program.child.pid as number;
  expect(Number((await first).body)).toBe(master);
  for (let generation = 1; generation <= 2; generation += 1) {
    process.kill(master, 'SIGUSR2');
    await until(() => successorsOf(program).length === generation, 'there is a new master');
    const successor = successorsOf(program).at(-1) as number;
    await notify.until(`MAINPID=${successor}`);
    process.kill(master, 'SIGTERM');
    await until(() => !isAlive(master), 'the old master has ended');
    expect(await masters()).toEqual([successor, successor, successor]);
    master = successor;
  }
  process.kill(master, 'SIGTERM');
  await notify.until('STOPPING=1');
});
