import { describe, expect, it } from 'vitest';
import { type StaticFilesOptions, staticFiles } from '../../src/files/index.ts';
import { type Exchange, exchanges, get, request } from '../support/exchange.ts';
import { field, type RawResponse, text } from '../support/rawclient.ts';
import { multipart } from './multipart.ts';
import { MODIFIED, pattern, type SiteFolder, siteFolders } from './sitefolder.ts';

const serve = exchanges();
const makeFolder = siteFolders();

const EXTENSIONS = { br: '.br', zstd: '.zst', gzip: '.gz' };

/** A folder with `file.js` and variants of it, each of which says its name. */
function folderOf(...variants: string[]): SiteFolder {
  const folder = makeFolder();
  folder.write('file.js', 'plain');
  for (const extension of variants) folder.write(`file.js${extension}`, `of ${extension}`);
  return folder;
}

function serving(folder: SiteFolder, options: StaticFilesOptions = {}): Exchange {
  return serve(staticFiles(folder.root, { precompressed: true, ...options }), { validate: false });
}

async function ask(
  exchange: Exchange,
  accept: string | null,
  ...fields: string[]
): Promise<RawResponse> {
  const lines = accept === null ? fields : [`Accept-Encoding: ${accept}`, ...fields];
  return await exchange.ask(get('/file.js', ...lines));
}

const FRESH: StaticFilesOptions = { cache: { revalidate: 0 } };
const ALL = Object.values(EXTENSIONS);

describe('the variant', () => {
  it.each([
    ['gzip, deflate, br, zstd', ALL, 'br'],
    ['gzip, deflate, zstd', ALL, 'zstd'],
    ['gzip, deflate', ALL, 'gzip'],
    ['GZIP', ALL, 'gzip'],
    ['br;q=0.5, gzip;q=0.8', ALL, 'gzip'],
    ['br;q=0, *', ALL, 'zstd'],
    ['*', ALL, 'br'],
    ['gzip, br', ['.gz'], 'gzip'],
    ['br', ['.gz'], undefined],
    ['deflate', ALL, undefined],
    ['identity', ALL, undefined],
    ['identity, gzip;q=0.5', ALL, undefined],
    ['*;q=0', ALL, undefined],
    ['', ALL, undefined],
    [null, ALL, undefined],
    ['gzip', [], undefined],
  ])('for Accept-Encoding: %s, with %j beside the file, is %s', async (accept, there, coding) => {
    const response = await ask(serving(folderOf(...there)), accept);
    expect(response.status).toBe(200);
    expect(field(response, 'Content-Encoding')).toBe(coding);
    const extension = EXTENSIONS[coding as keyof typeof EXTENSIONS];
    expect(text(response)).toBe(coding === undefined ? 'plain' : `of ${extension}`);
    expect(field(response, 'Content-Length')).toBe(`${response.body.length}`);
    expect(field(response, 'Content-Type')).toBe('text/javascript; charset=utf-8');
    expect(field(response, 'Vary')).toBe('Accept-Encoding');
  });

  it('is not used without the option, nor is there a Vary', async () => {
    const response = await ask(serving(folderOf('.gz'), { precompressed: false }), 'gzip');
    expect([text(response), field(response, 'Vary')]).toEqual(['plain', undefined]);
  });

  it('is a file of its own under its own name', async () => {
    const exchange = serving(folderOf('.gz'));
    const response = await exchange.ask(get('/file.js.gz', 'Accept-Encoding: gzip'));
    expect([text(response), field(response, 'Content-Type')]).toEqual([
      'of .gz',
      'application/gzip',
    ]);
    expect(field(response, 'Content-Encoding')).toBeUndefined();
  });

  it('of a file that is not there is not sent', async () => {
    const folder = folderOf('.gz');
    folder.remove('file.js');
    expect((await ask(serving(folder), 'gzip')).status).toBe(404);
  });

  it('stands for an index file too', async () => {
    const folder = makeFolder();
    folder.write('index.html', 'plain');
    folder.write('index.html.br', 'of .br');
    const response = await serving(folder).ask(get('/', 'Accept-Encoding: br'));
    expect([text(response), field(response, 'Content-Encoding')]).toEqual(['of .br', 'br']);
  });

  it('is not a folder or a link out of the root', async () => {
    const folder = folderOf();
    folder.write('file.js.br/inner', 'x');
    folder.write('../secret', 'secret');
    folder.link('file.js.gz', '../secret');
    folder.link('file.js.zst', 'missing');
    expect(text(await ask(serving(folder), 'br, gzip, zstd'))).toBe('plain');
  });

  it.each([
    ['a day', 86_400],
    ['a second', 1],
    ['a tenth of a second', 0.1],
  ])('that is older than the file by %s is not used', async (_, seconds) => {
    const folder = folderOf('.br', '.gz');
    // Within one second.
    folder.write('file.js', 'newer', MODIFIED + 0.8);
    folder.write('file.js.br', 'stale', MODIFIED + 0.8 - seconds);
    folder.write('file.js.gz', 'as old', MODIFIED + 0.8);
    expect(text(await ask(serving(folder), 'br, gzip'))).toBe('as old');
  });
});

describe('a change', () => {
  it('of the variants is noticed: one that appears, is replaced, goes', async () => {
    const folder = folderOf();
    const exchange = serving(folder, FRESH);
    const now = async (): Promise<string> => text(await ask(exchange, 'br, gzip'));
    expect(await now()).toBe('plain');
    folder.write('file.js.gz', 'gz');
    expect(await now()).toBe('gz');
    folder.write('file.js.br', 'br');
    expect(await now()).toBe('br');
    folder.replace('file.js.br', 'br again', MODIFIED + 1);
    expect(await now()).toBe('br again');
    folder.remove('file.js.br');
    expect(await now()).toBe('gz');
    folder.write('file.js', 'newer', MODIFIED + 5);
    expect(await now()).toBe('newer');
    folder.write('file.js.gz', 'newer gz', MODIFIED + 6);
    expect(await now()).toBe('newer gz');
    folder.remove('file.js');
    expect((await ask(exchange, 'br, gzip')).status).toBe(404);
  });

  it('of the variants is seen after the time to revalidate, without another of the file', async () => {
    const folder = folderOf('.gz');
    const exchange = serving(folder, { cache: { revalidate: 0.05 } });
    expect(text(await ask(exchange, 'gzip'))).toBe('of .gz');
    folder.remove('file.js.gz');
    await expect.poll(async () => text(await ask(exchange, 'gzip'))).toBe('plain');
  });
});

describe.each([
  ['small', 10_000],
  ['large', 150_000],
])('a %s variant', (_, size) => {
  const plain = pattern(size * 2);
  const packed = pattern(size, 7);

  function exchangeOf(options: StaticFilesOptions = {}): Exchange {
    const folder = makeFolder();
    folder.write('file.js', plain);
    folder.write('file.js.gz', packed);
    return serving(folder, options);
  }

  it('has an entity tag of its own, and is revalidated by it', async () => {
    const exchange = exchangeOf();
    const tags = [await ask(exchange, 'gzip'), await ask(exchange, null)].map((response) =>
      field(response, 'ETag'),
    );
    expect(new Set(tags).size).toBe(2);
    for (const tag of tags) expect(tag).toMatch(/^"[\w-]+"$/);
    const [ofPacked, ofPlain] = tags;
    const same = await ask(exchange, 'gzip', `If-None-Match: ${ofPacked}`);
    expect([same.status, field(same, 'ETag'), field(same, 'Vary')]).toEqual([
      304,
      ofPacked,
      'Accept-Encoding',
    ]);
    expect((await ask(exchange, 'gzip', `If-None-Match: ${ofPlain}`)).status).toBe(200);
    expect((await ask(exchange, null, `If-None-Match: ${ofPacked}`)).status).toBe(200);
    const either = `If-None-Match: ${ofPlain}, ${ofPacked}`;
    expect((await ask(exchange, 'gzip', either)).status).toBe(304);
  });

  it('has ranges of its own bytes', async () => {
    const exchange = exchangeOf();
    const one = await ask(exchange, 'gzip', 'Range: bytes=100-199');
    expect([one.status, field(one, 'Content-Range'), field(one, 'Content-Encoding')]).toEqual([
      206,
      `bytes 100-199/${size}`,
      'gzip',
    ]);
    expect(one.body).toEqual(packed.subarray(100, 200));
    const several = await ask(exchange, 'gzip', 'Range: bytes=0-9, 5000-5009');
    expect(multipart(several).map(({ body }) => body)).toEqual([
      packed.subarray(0, 10),
      packed.subarray(5000, 5010),
    ]);
    const other = await ask(exchange, null, 'Range: bytes=100-199');
    expect(other.body).toEqual(plain.subarray(100, 200));
    const etag = field(other, 'ETag');
    const mixed = await ask(exchange, 'gzip', 'Range: bytes=100-199', `If-Range: ${etag}`);
    expect([mixed.status, mixed.body.equals(packed)]).toEqual([200, true]);
  });

  it('has the same head for HEAD', async () => {
    const exchange = exchangeOf();
    const head = await exchange.ask(request('HEAD', '/file.js', ['Accept-Encoding: gzip']), 'HEAD');
    expect([field(head, 'Content-Length'), field(head, 'Content-Encoding')]).toEqual([
      `${size}`,
      'gzip',
    ]);
  });

  it('is sent though nothing is kept in memory', async () => {
    const exchange = exchangeOf({ cache: { bytes: 0, fileBytes: 65_536 } });
    for (let i = 0; i < 3; i += 1) {
      expect((await ask(exchange, 'gzip')).body.equals(packed)).toBe(true);
      expect((await ask(exchange, null)).body.equals(plain)).toBe(true);
    }
  });
});

describe('in a full cache', () => {
  it('a file that makes room for its own variants is sent all the same', async () => {
    const folder = makeFolder();
    // Open files, which are closed when they have to go.
    folder.write('file.js', 'plain');
    folder.write('file.js.gz', 'of .gz');
    for (let i = 0; i < 30; i += 1) folder.write(`${i}`, `other ${i}`);
    const exchange = serving(folder, { cache: { entries: 10, fileBytes: 0, revalidate: 0.02 } });
    for (let i = 0; i < 300; i += 1) {
      const accept = i % 2 === 0 ? 'gzip' : 'identity';
      const response = await ask(exchange, accept);
      expect([response.status, text(response)]).toEqual([200, i % 2 === 0 ? 'of .gz' : 'plain']);
      for (let j = 0; j < i % 7; j += 1) await exchange.ask(get(`/${(i + j) % 30}`));
    }
    expect(exchange.errors.getValue()).toBe('');
  });

  it('many files with variants are sent to many clients at once', async () => {
    const folder = makeFolder();
    for (let i = 0; i < 12; i += 1) {
      folder.write(`${i}`, `plain ${i}`);
      folder.write(`${i}.gz`, `packed ${i}`);
      folder.write(`${i}.br`, `brotli ${i}`);
    }
    const exchange = serving(folder, { cache: { entries: 10, fileBytes: 0, revalidate: 0 } });
    const client = async (seed: number): Promise<void> => {
      const raw = await exchange.client();
      for (let i = 0; i < 60; i += 1) {
        const name = (i * 7 + seed) % 12;
        const [accept, kind] = (
          [
            ['gzip', 'packed'],
            ['br', 'brotli'],
            ['identity', 'plain'],
          ] as const
        )[(i + seed) % 3] as [string, string];
        await raw.send(get(`/${name}`, `Accept-Encoding: ${accept}`));
        expect(text(await raw.response())).toBe(`${kind} ${name}`);
      }
    };
    await Promise.all(Array.from({ length: 12 }, (_, seed) => client(seed)));
    expect(exchange.errors.getValue()).toBe('');
  });
});

it('a large variant that was rewritten in place is sent as it is then, with a tag of its own', async () => {
  const folder = folderOf();
  folder.write('file.js.gz', Buffer.alloc(100_000, 'A'));
  const exchange = serving(folder, { cache: { revalidate: 1000 } });
  const before = await ask(exchange, 'gzip');
  for (const body of [Buffer.alloc(150_000, 'B'), Buffer.alloc(100_000, 'C')]) {
    folder.write('file.js.gz', body);
    const after = await ask(exchange, 'gzip');
    expect([after.status, after.body.equals(body)]).toEqual([200, true]);
    expect(field(after, 'ETag')).not.toBe(field(before, 'ETag'));
  }
  expect(exchange.errors.getValue()).toBe('');
});
