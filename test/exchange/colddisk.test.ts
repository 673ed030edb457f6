import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { get } from '../support/exchange.ts';
import { evict } from '../support/pagecache.ts';
import { programStarter } from '../support/programs.ts';
import { eventually, RawClient } from '../support/rawclient.ts';
import { dist, requireDist } from '../support/servers.ts';
import { straceIsMissing } from '../support/strace.ts';

const MIB = 1024 * 1024;
/** `f_type` of tmpfs, whose files are nowhere but in memory; see statfs(2). */
const TMPFS = 0x01021994;

/** Serves the file of the second argument until its input ends. */
const SERVER = `
  import { openSync } from 'node:fs';
  const [, dist, path] = process.argv;
  const { FileWrapper, makeServer } = await import(dist);
  const app = (environ, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return new FileWrapper(openSync(path));
  };
  const server = makeServer('127.0.0.1', 0, app);
  process.stdin.on('end', () => process.exit()).resume();
  console.log('http://127.0.0.1:' + server.serverPort + '/');
  await server.serveForever();
`;

const TRACED = 'trace=read,pread64,readv,preadv,preadv2,readahead,sendfile,close';

const start = programStarter();

/** Calls of strace's log that have to do with the file, by the thread that made them. */
function callsOf(log: string, path: string): { thread: string; call: string }[] {
  return log.split('\n').flatMap((line) => {
    const [, thread = '', call = ''] = /^([0-9]+) +(.*)$/.exec(line) ?? [];
    return call.includes(`<${path}>`) ? [{ thread, call }] : [];
  });
}

/** What may wait for the disk; sendfile(2) is not asked here. */
const READS = /^(read|pread64|readv|preadv|preadv2|readahead)\((?!.*RWF_NOWAIT)/;

describe('a file on a disk', () => {
  function cannotBeCold(): boolean {
    if (process.platform === 'linux' && statfsSync(tmpdir()).type !== TMPFS) return false;
    console.warn(`${tmpdir()} is in memory: no file there can be cold; set TMPDIR to test it`);
    return true;
  }

  it.skipIf(cannotBeCold() || straceIsMissing())(
    'is read by other threads than the loop when it is cold',
    async () => {
      requireDist();
      const folder = mkdtempSync(join(tmpdir(), 'ryegate-cold-'));
      onTestFinished(() => rmSync(folder, { recursive: true }));
      const path = join(folder, 'file');
      const bytes = randomBytes(3 * MIB + 1);
      writeFileSync(path, bytes);
      const log = join(folder, 'log');
      const node = [process.execPath, '--input-type=module', '--eval', SERVER, dist, path];
      const program = start('strace', ['-f', '-y', '-e', TRACED, '-o', log, ...node]);
      const { port } = new URL(await program.url('stdout'));
      /** The calls for one download. */
      const download = async (): Promise<{ thread: string; call: string }[]> => {
        const from = readFileSync(log).length;
        const client = await RawClient.connect(['127.0.0.1', Number(port)]);
        await client.send(get());
        expect((await client.response()).body.equals(bytes)).toBe(true);
        client.destroy();
        const calls = (): { thread: string; call: string }[] =>
          callsOf(readFileSync(log).toString('latin1', from), path);
        await eventually(
          () => calls().some(({ call }) => call.startsWith('close(')),
          'it is closed',
        );
        return calls();
      };
      evict(path);
      const [cold, warm] = [await download(), await download()];
      const [loop] = readFileSync(log, 'latin1').split(' ', 1);
      const readers = cold.filter(({ call }) => READS.test(call)).map(({ thread }) => thread);
      expect(readers.length).toBeGreaterThan(0);
      expect(readers).not.toContain(loop);
      const first = cold.findIndex(({ call }) => call.startsWith('sendfile('));
      expect(first).toBeGreaterThan(cold.findIndex(({ call }) => READS.test(call)));
      expect(cold[first]?.thread).toBe(loop);
      expect(warm.filter(({ call }) => READS.test(call))).toEqual([]);
      // strace, which blocks signals, ends with it.
      program.child.stdin?.end();
      expect(await program.exit).toEqual([0, null]);
    },
  );
});
