import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Application, InputReader } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { chunked, content, withLength } from '../support/bodies.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { type Exchange, type ExchangeOptions, exchanges, PLAIN, TCP } from '../support/exchange.ts';
import { cleanEnvironment, programStarter, root } from '../support/programs.ts';
import { bounded, eventually, field, text } from '../support/rawclient.ts';
import { requireDist } from '../support/servers.ts';
import { straceIsMissing } from '../support/strace.ts';

const MIB = 1024 * 1024;
const dist = new URL('../../dist/io/spool.js', import.meta.url).href;

const before = process.env.TMPDIR;
const folder = mkdtempSync(join(tmpdir(), 'ryegate-saving-'));
const spools = join(folder, 'spools');
const saved = join(folder, 'saved');
const target = join(saved, 'file');
beforeAll(() => {
  mkdirSync(spools);
  process.env.TMPDIR = spools;
});
beforeEach(() => {
  rmSync(saved, { recursive: true, force: true });
  mkdirSync(saved);
});
afterAll(() => {
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
  rmSync(folder, { recursive: true });
});

/** The inodes of the spools' files that this process has open. */
function spooled(): number[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const inside = readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${spools}/`);
      return inside ? [statSync(`/proc/self/fd/${fd}`).ino] : [];
    } catch {
      return [];
    }
  });
}

/** Answers with what `save` gives, as JSON; an error by its code. */
function saving(save: (input: InputReader) => Promise<unknown>): Application {
  return async (environ, startResponse) => {
    const result = await save(environ['wsgi.input']).catch(({ code }) => code);
    startResponse('200 OK', PLAIN);
    return JSON.stringify(result);
  };
}

const wholly = saving((input) => input.saveTo(target));

describeBackends('saveTo', (selector) => {
  const serve = exchanges();

  describe.each(['buffer', 'stream'] as const)("inputBuffering: '%s'", (inputBuffering) => {
    function start(app: Application, options: ExchangeOptions = {}): Exchange {
      return serve(app, { selector, inputBuffering, ...options });
    }

    it.each([0, 1, 65_536, 600 * 1024, 20 * MIB])(
      'saves a body of %i bytes, by length and chunked',
      async (size) => {
        const bytes = content(size);
        const exchange = start(wholly);
        const client = await exchange.client();
        for (const message of [withLength(bytes), chunked(bytes, 65_000)]) {
          rmSync(target, { force: true });
          await client.send(message);
          const response = await client.response();
          expect([text(response), field(response, 'Connection')]).toEqual([
            `${size}`,
            'keep-alive',
          ]);
          expect(readFileSync(target).equals(bytes)).toBe(true);
          expect(readdirSync(saved)).toEqual(['file']);
        }
        await eventually(() => spooled().length === 0, 'no temporary file is open');
      },
    );

    it.each([600 * 1024, 5000])('saves what was not read before, of %i bytes', async (size) => {
      const bytes = content(size);
      const app = saving(async (input) => {
        const read = [await input.read(1234), await input.readline()];
        const count = await input.saveTo(target);
        return [Buffer.concat(read).length, count, (await input.read()).length];
      });
      const [read, count, rest] = JSON.parse(text(await start(app).ask(withLength(bytes))));
      expect([read + count, rest]).toEqual([size, 0]);
      expect(readFileSync(target).equals(bytes.subarray(read))).toBe(true);
    });

    it('saves nothing the second time', async () => {
      const app = saving((input) =>
        Promise.all([input.saveTo(target), input.saveTo(`${target}-2`), input.read(1)]),
      );
      const response = await start(app).ask(withLength(content(600 * 1024)));
      const nothing = Buffer.alloc(0).toJSON();
      expect(JSON.parse(text(response))).toEqual([600 * 1024, 0, nothing]);
      expect(statSync(`${target}-2`).size).toBe(0);
    });

    it('tells what the file system says, and the body can be read all the same', async () => {
      const bytes = content(600 * 1024);
      const app = saving(async (input) => {
        const failure = await input
          .saveTo(join(saved, 'missing', 'file'))
          .catch(({ code }) => code);
        return [failure, await input.saveTo(target)];
      });
      const client = await start(app).client();
      for (let i = 0; i < 2; i += 1) {
        await client.send(withLength(bytes));
        expect(text(await client.response())).toBe(`["ENOENT",${bytes.length}]`);
        expect(readFileSync(target).equals(bytes)).toBe(true);
      }
    });

    it('saves for many clients at once', async () => {
      const app: Application = async (environ, startResponse) => {
        const path = join(saved, environ.QUERY_STRING);
        const size = await environ['wsgi.input'].saveTo(path);
        startResponse('200 OK', PLAIN);
        return String(size);
      };
      const exchange = start(app);
      const bytes = content(MIB);
      const sizes = Array.from({ length: 20 }, (_, i) => 1 + i * 50_000);
      await Promise.all(
        sizes.map(async (size, i) => {
          const message = withLength(bytes.subarray(i, i + size)).toString('latin1');
          const asked = message.replace('POST / ', `POST /?${i} `);
          expect(text(await exchange.ask(asked))).toBe(String(size));
        }),
      );
      sizes.forEach((size, i) => {
        expect(readFileSync(join(saved, String(i))).equals(bytes.subarray(i, i + size))).toBe(true);
      });
      expect(readdirSync(saved)).toHaveLength(20);
    });

    it('is asked for by Expect: 100-continue', async () => {
      const client = await start(wholly).client();
      const message = withLength(content(5000), 'Expect: 100-continue');
      await client.send(message.subarray(0, -5000));
      expect((await client.response()).status).toBe(100);
      await client.send(message.subarray(-5000));
      expect(text(await client.response())).toBe('5000');
    });

    it('leaves nothing when the response is complete before', async () => {
      const descriptors = openDescriptors();
      let result: Promise<unknown> = Promise.resolve();
      const app: Application = (environ, startResponse) => {
        result = environ['wsgi.input'].saveTo(target).catch(({ code }) => code);
        startResponse('200 OK', PLAIN);
        return 'done';
      };
      const exchange = start(app);
      const client = await exchange.client();
      const message = withLength(content(700 * 1024));
      client.socket.write(message.subarray(0, inputBuffering === 'buffer' ? undefined : 65_000));
      expect(text(await client.response())).toBe('done');
      expect(await bounded(result, 'the end of the save')).toBe('ERR_RYEGATE_BODY_GONE');
      expect(readdirSync(saved)).toEqual([]);
      await exchange.close();
      await eventually(() => openDescriptors() === descriptors, 'all is closed');
    });
  });

  it("is given the spool's own file, which nobody reads", async () => {
    let inode = -1;
    const app = saving((input) => {
      [inode = -1] = spooled();
      return input.saveTo(target);
    });
    const exchange = serve(app, { selector, inputBuffering: 'buffer' });
    expect(text(await exchange.ask(withLength(content(600 * 1024))))).toBe(String(600 * 1024));
    expect(inode).not.toBe(-1);
    expect(statSync(target).ino).toBe(inode);
  });

  it.each([
    ['the client goes away', 'ERR_RYEGATE_CLIENT_GONE'],
    ['the body is too large', 'ERR_RYEGATE_BODY_TOO_LARGE'],
    ['the body is malformed', 'ERR_RYEGATE_BAD_CHUNK'],
    ['the body is too late', 'ERR_RYEGATE_BODY_TIMEOUT'],
  ])('leaves nothing when %s half way', async (_case, code) => {
    let result: Promise<unknown> | null = null;
    const app = saving((input) => {
      result = input.saveTo(target).catch((error) => error.code);
      return result;
    });
    writeFileSync(target, 'old');
    const options = { limits: { bodyBytes: MIB }, timeouts: { body: 1 } };
    const exchange = serve(app, { address: TCP, selector, ...options });
    const client = await exchange.client();
    const message = chunked(content(2 * MIB), 1000);
    client.socket.write(message.subarray(0, 500_000));
    await eventually(() => readdirSync(saved).length === 2, 'the file is being written');
    if (code === 'ERR_RYEGATE_CLIENT_GONE') client.reset();
    if (code === 'ERR_RYEGATE_BODY_TOO_LARGE') client.socket.write(message.subarray(500_000));
    if (code === 'ERR_RYEGATE_BAD_CHUNK') client.socket.write('nonsense'.repeat(1000));
    await eventually(() => result !== null, 'the application runs');
    expect(await bounded(result as unknown as Promise<unknown>, 'the failure')).toBe(code);
    expect(readdirSync(saved)).toEqual(['file']);
    expect(readFileSync(target, 'latin1')).toBe('old');
  });

  it('holds a client back that is faster than the disk', async () => {
    let most = 0;
    const app = saving(async (input) => {
      const watching = setInterval(() => {
        most = Math.max(most, (input as InputReader & { buffered: number }).buffered);
      });
      const size = await input.saveTo(target);
      clearInterval(watching);
      return size;
    });
    const bytes = content(40 * MIB);
    expect(text(await serve(app, { selector }).ask(withLength(bytes)))).toBe(`${bytes.length}`);
    expect(readFileSync(target).equals(bytes)).toBe(true);
    // The mark, and what one turn may bring in addition.
    expect(most).toBeLessThan(MIB);
  });
});

/** Why there is no small disk to be filled; null where there is one. */
function mountSmall(at: string): string | null {
  try {
    mkdirSync(at);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', at], { stdio: 'pipe' });
    return null;
  } catch (error) {
    return String((error as { stderr?: Buffer }).stderr ?? error).trim();
  }
}

const small = join(folder, 'small');
const refused = mountSmall(small);
if (refused !== null)
  console.warn(`skipped: tests of a full disk, as none can be made: ${refused}`);

describe.skipIf(refused !== null)('a full disk', () => {
  const serve = exchanges();
  afterEach(() => {
    for (const name of readdirSync(small)) rmSync(join(small, name));
  });
  afterAll(() => {
    execFileSync('umount', [small]);
  });

  it.for(['buffer', 'stream'] as const)(
    'fails the save, leaves nothing, and the target as it was (%s)',
    async (inputBuffering, context) => {
      if (refused !== null) context.skip();
      const full = join(small, 'file');
      const bytes = content(3 * MIB);
      writeFileSync(full, 'old');
      const app = saving(async (input) => {
        const failure = await input.saveTo(full).catch(({ code }) => code);
        const again = await input.saveTo(target).catch(({ code }) => code);
        return [failure, readdirSync(small), again];
      });
      const response = await serve(app, { inputBuffering }).ask(withLength(bytes));
      const [failure, left, rest] = JSON.parse(text(response));
      expect([failure, left]).toEqual(['ENOSPC', ['file']]);
      expect(readFileSync(full, 'latin1')).toBe('old');
      // A body that is buffered is there still; of another nobody gets a part for the whole.
      expect(rest).toBe(inputBuffering === 'buffer' ? bytes.length : 'ENOSPC');
      if (inputBuffering === 'buffer') expect(readFileSync(target).equals(bytes)).toBe(true);
    },
  );
});

const SCRIPT = `
  const { writeSync } = await import('node:fs');
  const { Spool } = await import(process.argv[1]);
  for (const path of process.argv.slice(2)) {
    const spool = new Spool(1000);
    for (let i = 0; i < 48; i += 1) spool.push(Buffer.alloc(65_536, 'x'));
    spool.end([]);
    writeSync(1, 'saving ' + (await spool.input.saveTo(path)) + '\\n');
    spool.close(() => new Error('over'));
  }
`;

describe.skipIf(straceIsMissing())('system calls', () => {
  const start = programStarter();
  let elsewhere = '';
  beforeAll(() => {
    elsewhere = mkdtempSync('/dev/shm/ryegate-saving-');
  });
  afterAll(() => rmSync(elsewhere, { recursive: true }));

  /** Saves twice, and gives what strace(1) tells of it. */
  async function trace(...strace: string[]): Promise<string[]> {
    requireDist();
    const paths = [target, join(elsewhere, 'file')];
    const traces = mkdtempSync(join(folder, 'traces-'));
    const node = [process.execPath, '--input-type=module', '--eval', SCRIPT, dist, ...paths];
    const env = { ...cleanEnvironment(), TMPDIR: spools };
    // A file for each thread: in one for all, a call that another interrupts takes two lines.
    const args = ['-ff', '-y', '-o', join(traces, 'trace'), ...strace, ...node];
    const program = start('strace', args, { cwd: root, env });
    expect(await program.exit).toEqual([0, null]);
    expect(program.stdout).toBe('saving 3145728\n'.repeat(2));
    for (const path of paths) expect(readFileSync(path, 'latin1')).toBe('x'.repeat(3_145_728));
    expect(readdirSync(spools)).toEqual([]);
    return readdirSync(traces).flatMap((name) =>
      readFileSync(join(traces, name), 'utf8').split('\n'),
    );
  }

  it('link a spool, or copy it within the kernel', async () => {
    const calls = 'read,pread64,preadv,preadv2,readv,linkat,copy_file_range,sendfile';
    const lines = await trace('-e', `trace=${calls}`);
    const onSpools = lines.filter((line) => line.includes(`<${spools}/`));
    const reads = onSpools.filter((line) => /(read|readv|pread64|preadv2?)\(/.test(line));
    expect(reads.filter((line) => !/= 0$/.test(line))).toEqual([]);
    expect(lines.filter((line) => /linkat\(.*= 0$/.test(line))).toHaveLength(1);
    const copied = onSpools.flatMap((line) => / = (\d+)$/.exec(line)?.[1] ?? []).map(Number);
    expect(copied.reduce((sum, count) => sum + count, 0)).toBe(3_145_728);
  });

  it('copy where the file system knows no files without a name', async () => {
    const lines = await trace('-P', spools, '-e', 'inject=openat:error=EOPNOTSUPP');
    expect(lines.filter((line) => /O_TMPFILE.*INJECTED/.test(line))).toHaveLength(2);
  });
});
