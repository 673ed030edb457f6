import { describe, expect, it } from 'vitest';
import { type StaticFilesOptions, staticFiles } from '../../src/files/index.ts';
import { httpDate } from '../../src/http/date.ts';
import { type Exchange, exchanges, get, request } from '../support/exchange.ts';
import { field, type RawResponse, text } from '../support/rawclient.ts';
import { multipart } from './multipart.ts';
import { MODIFIED, pattern, siteFolders } from './sitefolder.ts';

const serve = exchanges();
const makeFolder = siteFolders();

/** Content that is kept in memory, and content that is sent by sendfile(2). */
const SIZES: [name: string, size: number][] = [
  ['small', 10_000],
  ['large', 200_000],
];

/** A site of one file, `file.txt`. */
function siteOf(content: string | Uint8Array, options: StaticFilesOptions = {}): Exchange {
  const folder = makeFolder();
  folder.write('file.txt', content);
  return serve(staticFiles(folder.root, options), { validate: false });
}

function namesOf(response: RawResponse): string[] {
  return response.fields.map(([name]) => name);
}

describe('Content-Type', () => {
  it.each([
    ['page.html', 'text/html; charset=utf-8'],
    ['style.css', 'text/css; charset=utf-8'],
    ['code.js', 'text/javascript; charset=utf-8'],
    ['code.mjs', 'text/javascript; charset=utf-8'],
    ['data.json', 'application/json; charset=utf-8'],
    ['notes.txt', 'text/plain; charset=utf-8'],
    ['picture.svg', 'image/svg+xml'],
    ['picture.PNG', 'image/png'],
    ['picture.webp', 'image/webp'],
    ['font.woff2', 'font/woff2'],
    ['code.wasm', 'application/wasm'],
    ['archive.tar.gz', 'application/gzip'],
    ['a.b/without', 'application/octet-stream'],
    ['unknown.zzzz', 'application/octet-stream'],
    ['dot.', 'application/octet-stream'],
    ['x.__proto__', 'application/octet-stream'],
    ['x.constructor', 'application/octet-stream'],
  ])('of %s is %s', async (name, type) => {
    const folder = makeFolder();
    folder.write(name, 'x');
    const response = await serve(staticFiles(folder.root)).ask(get(`/${name}`));
    expect([response.status, field(response, 'Content-Type')]).toEqual([200, type]);
    expect(field(response, 'X-Content-Type-Options')).toBe('nosniff');
  });

  it('is what the option contentType says, and unknown where that says nothing', async () => {
    const folder = makeFolder();
    for (const name of ['a.one', 'a.two']) folder.write(`in/${name}`, name);
    const names: string[] = [];
    const contentType = (name: string): string | undefined => {
      names.push(name);
      return name.endsWith('.one') ? 'text/one' : undefined;
    };
    const exchange = serve(staticFiles(folder.root, { contentType }));
    expect(field(await exchange.ask(get('/in/a.one')), 'Content-Type')).toBe('text/one');
    const second = await exchange.ask(get('/in/a.two'));
    expect(field(second, 'Content-Type')).toBe('application/octet-stream');
    expect(names).toEqual(['in/a.one', 'in/a.two']);
  });

  it('that no field can hold is an error, not a second field', async () => {
    const contentType = (): string => 'text/plain\r\nX-Evil: 1';
    const exchange = siteOf('x', { contentType });
    const response = await exchange.ask(get('/file.txt'));
    expect([response.status, field(response, 'X-Evil')]).toEqual([500, undefined]);
    expect(exchange.errors.getValue()).toContain('ERR_RYEGATE_HEADER');
  });
});

describe('the validators', () => {
  it.each(SIZES)('of a %s file: a strong ETag, Last-Modified in whole seconds', async (_, size) => {
    const folder = makeFolder();
    folder.write('file.txt', pattern(size), MODIFIED + 0.75);
    const response = await serve(staticFiles(folder.root)).ask(get('/file.txt'));
    expect(field(response, 'ETag')).toMatch(/^"[\w-]+"$/);
    expect(field(response, 'Last-Modified')).toBe(httpDate(MODIFIED * 1000));
    expect(field(response, 'Accept-Ranges')).toBe('bytes');
  });

  it.each(SIZES)('of a %s file change with its content', async (_, size) => {
    const folder = makeFolder();
    const exchange = serve(staticFiles(folder.root, { cache: { revalidate: 0 } }));
    const tags = new Set<string | undefined>();
    for (const [content, modified] of [
      [pattern(size, 1), MODIFIED],
      [pattern(size, 2), MODIFIED + 1],
      [pattern(size, 3), MODIFIED + 1.001],
      [pattern(size + 1, 3), MODIFIED + 1.001],
    ] as const) {
      folder.write('file.txt', content, modified);
      const response = await exchange.ask(get('/file.txt'));
      expect(response.body.equals(content)).toBe(true);
      tags.add(field(response, 'ETag'));
    }
    expect(tags.size).toBe(4);
  });

  it('of a small file tell by content: a copy of it is not fetched again', async () => {
    const folder = makeFolder();
    folder.write('one.txt', 'the same');
    folder.write('two.txt', 'the same', MODIFIED + 100);
    const exchange = serve(staticFiles(folder.root));
    const [one, two] = [await exchange.ask(get('/one.txt')), await exchange.ask(get('/two.txt'))];
    expect(field(one, 'ETag')).toBe(field(two, 'ETag'));
  });

  it('tell a large file by size and time', async () => {
    const folder = makeFolder();
    folder.write('one.txt', pattern(100_000));
    folder.write('two.txt', pattern(100_000), MODIFIED + 100);
    const exchange = serve(staticFiles(folder.root));
    const [one, two] = [await exchange.ask(get('/one.txt')), await exchange.ask(get('/two.txt'))];
    expect(field(one, 'ETag')).not.toBe(field(two, 'ETag'));
  });

  it.each([
    ['before 1970', -86_400],
    ['the far future', 4_102_444_800],
  ])('is not told of a file from %s', async (_, modified) => {
    const folder = makeFolder();
    folder.write('file.txt', 'old', modified);
    const exchange = serve(staticFiles(folder.root));
    const since = 'If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT';
    for (const response of [
      await exchange.ask(get('/file.txt')),
      await exchange.ask(get('/file.txt', since)),
    ]) {
      expect([response.status, field(response, 'Last-Modified')]).toEqual([200, undefined]);
    }
  });

  it.each([
    ['1970', 86_400],
    ['2001', 1_000_000_000],
  ])('of a file from %s can be sent back', async (_, modified) => {
    const folder = makeFolder();
    folder.write('file.txt', 'old', modified);
    const exchange = serve(staticFiles(folder.root));
    const response = await exchange.ask(get('/file.txt'));
    const date = field(response, 'Last-Modified') ?? '';
    expect([response.status, date]).toEqual([200, httpDate(modified * 1000)]);
    const again = await exchange.ask(get('/file.txt', `If-Modified-Since: ${date}`));
    expect(again.status).toBe(304);
  });
});

describe.each(SIZES)('a %s file', (_, size) => {
  const content = pattern(size);

  it('is sent whole, again and again', async () => {
    const exchange = siteOf(content);
    for (let i = 0; i < 3; i += 1) {
      const response = await exchange.ask(get('/file.txt'));
      expect(response.status).toBe(200);
      expect(response.framing).toBe('length');
      expect(response.body.equals(content)).toBe(true);
    }
  });

  it('has the same head for HEAD, and no body', async () => {
    const exchange = siteOf(content);
    const client = await exchange.client();
    const withoutDate = (response: RawResponse): unknown =>
      response.fields.filter(([name]) => name !== 'Date');
    await client.send(get('/file.txt'));
    const whole = await client.response();
    await client.send(request('HEAD', '/file.txt') + get('/file.txt', 'Range: bytes=0-0'));
    const head = await client.response('HEAD');
    expect(withoutDate(head)).toEqual(withoutDate(whole));
    // A body would have come in its place.
    expect((await client.response()).body).toEqual(content.subarray(0, 1));
  });

  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=0-', 0, size],
    ['bytes=-1', size - 1, size],
    [`bytes=-${size + 1}`, 0, size],
    [`bytes=${size - 1}-${size + 1000}`, size - 1, size],
    ['bytes=1000-4999', 1000, 5000],
    ['bytes=1000-2000, 1500-4999', 1000, 5000],
    [`bytes=99999999-, 7-8`, 7, 9],
  ])('Range: %s', async (range, start, end) => {
    const response = await siteOf(content).ask(get('/file.txt', `Range: ${range}`));
    expect(response.status).toBe(206);
    expect(field(response, 'Content-Range')).toBe(`bytes ${start}-${end - 1}/${size}`);
    expect(field(response, 'Content-Type')).toBe('text/plain; charset=utf-8');
    expect(response.body.equals(content.subarray(start, end))).toBe(true);
  });

  it.each([
    'bytes=5-4',
    'bytes=x-',
    'lines=1-2',
    'bytes=0-, 5-',
    `bytes=0-4999, 5000-${size}`,
    'bytes=',
  ])('Range: %s is as if there were none', async (range) => {
    const response = await siteOf(content).ask(get('/file.txt', `Range: ${range}`));
    expect([response.status, field(response, 'Content-Range')]).toEqual([200, undefined]);
    expect(response.body.equals(content)).toBe(true);
  });

  it.each([`bytes=${size}-`, 'bytes=-0', 'bytes=99999999-999999999'])(
    'Range: %s cannot be satisfied',
    async (range) => {
      const response = await siteOf(content).ask(get('/file.txt', `Range: ${range}`));
      expect([response.status, field(response, 'Content-Range')]).toEqual([416, `bytes */${size}`]);
      expect(text(response)).toContain('416');
    },
  );

  it('sends several ranges in one multipart body, in their order', async () => {
    const exchange = siteOf(content);
    const ranges = [
      [9000, 9100],
      [0, 1],
      [4000, 8000],
      [size - 5, size],
    ] as const;
    const value = `bytes=${ranges.map(([start, end]) => `${start}-${end - 1}`).join(',')}`;
    const response = await exchange.ask(get('/file.txt', `Range: ${value}`));
    expect([response.status, field(response, 'Content-Range')]).toEqual([206, undefined]);
    const parts = multipart(response);
    expect(parts.map(({ fields }) => fields)).toEqual(
      ranges.map(([start, end]) => ({
        'content-type': 'text/plain; charset=utf-8',
        'content-range': `bytes ${start}-${end - 1}/${size}`,
      })),
    );
    ranges.forEach(([start, end], i) => {
      expect(parts[i]?.body.equals(content.subarray(start, end))).toBe(true);
    });
  });

  it('makes one part of ranges that overlap or are close', async () => {
    const value = 'bytes=5000-5999, 100-199, 5500-6999, 250-299';
    const response = await siteOf(content).ask(get('/file.txt', `Range: ${value}`));
    const parts = multipart(response);
    expect(parts.map(({ fields }) => fields['content-range'])).toEqual([
      `bytes 5000-6999/${size}`,
      `bytes 100-299/${size}`,
    ]);
    expect(parts.map(({ body }) => body)).toEqual([
      content.subarray(5000, 7000),
      content.subarray(100, 300),
    ]);
  });

  it('takes another boundary for every multipart body', async () => {
    const exchange = siteOf(content);
    const boundaries = new Set<string | undefined>();
    for (let i = 0; i < 3; i += 1) {
      const response = await exchange.ask(get('/file.txt', 'Range: bytes=0-0,1000-1000'));
      boundaries.add(field(response, 'Content-Type'));
    }
    expect(boundaries.size).toBe(3);
  });

  it('is sent whole to whoever asks for too many ranges', async () => {
    const exchange = siteOf(content, { mostRanges: 3 });
    const ranges = (count: number): string =>
      `Range: bytes=${Array.from({ length: count }, (_, i) => `${i * 500}-${i * 500}`).join(',')}`;
    const few = await exchange.ask(get('/file.txt', ranges(3)));
    expect([few.status, multipart(few).length]).toEqual([206, 3]);
    const many = await exchange.ask(get('/file.txt', ranges(4)));
    expect([many.status, many.body.equals(content)]).toEqual([200, true]);
  });

  it('has no ranges with mostRanges 0, and says so', async () => {
    const exchange = siteOf(content, { mostRanges: 0 });
    const response = await exchange.ask(get('/file.txt', 'Range: bytes=0-0'));
    expect([response.status, field(response, 'Accept-Ranges')]).toEqual([200, 'none']);
    expect(response.body.equals(content)).toBe(true);
  });

  it('leaves the connection fit for the next request, whatever was asked for', async () => {
    const client = await siteOf(content).client();
    const asked = [
      'Range: bytes=0-0,1000-1000',
      'Range: bytes=3-',
      'If-None-Match: *',
      'If-Match: "x"',
      `Range: bytes=${size}-`,
    ];
    await client.send(asked.map((line) => get('/file.txt', line)).join('') + get('/file.txt'));
    const statuses: number[] = [];
    for (const _ of asked) statuses.push((await client.response()).status);
    expect(statuses).toEqual([206, 206, 304, 412, 416]);
    expect((await client.response()).body.equals(content)).toBe(true);
  });
});

describe('an empty file', () => {
  it('is 200 without a byte', async () => {
    const client = await siteOf('').client();
    await client.send(get('/file.txt') + get('/file.txt', 'Range: bytes=0-') + get('/'));
    for (let i = 0; i < 2; i += 1) {
      const response = await client.response();
      expect([response.status, field(response, 'Content-Length')]).toEqual([200, '0']);
    }
    expect((await client.response()).status).toBe(404);
  });

  it('has validators', async () => {
    const exchange = siteOf('');
    const etag = field(await exchange.ask(get('/file.txt')), 'ETag');
    const response = await exchange.ask(get('/file.txt', `If-None-Match: ${etag}`));
    expect(response.status).toBe(304);
  });
});

describe('methods', () => {
  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'get'])(
    '%s is answered 405 with Allow',
    async (method) => {
      const response = await siteOf('x').ask(request(method, '/file.txt'), method);
      expect([response.status, field(response, 'Allow')]).toEqual([405, 'GET, HEAD']);
    },
  );
});

describe('the answers of an HTTP/1.0 client', () => {
  it.each(SIZES)('have a length for a %s file', async (_, size) => {
    const exchange = siteOf(pattern(size));
    const client = await exchange.client();
    await client.send('GET /file.txt HTTP/1.0\r\n\r\n');
    const response = await client.response();
    expect([response.framing, response.body.equals(pattern(size))]).toEqual(['length', true]);
    expect(await client.ended()).toBe('fin');
  });
});

describe('Cache-Control', () => {
  it.each<[StaticFilesOptions, string]>([
    [{}, 'max-age=0'],
    [{ maxAge: 600 }, 'max-age=600'],
    [{ immutable: true }, 'max-age=31536000, immutable'],
    [{ immutable: true, maxAge: 5 }, 'max-age=5, immutable'],
    [{ cacheControl: 'no-store' }, 'no-store'],
    [{ maxAge: 2 ** 31 - 1 }, 'max-age=2147483647'],
  ])('with %j is %s', async (options, expected) => {
    const exchange = siteOf('x', options);
    const response = await exchange.ask(get('/file.txt'));
    expect(field(response, 'Cache-Control')).toBe(expected);
    const again = await exchange.ask(get('/file.txt', 'If-None-Match: *'));
    expect([again.status, field(again, 'Cache-Control')]).toEqual([304, expected]);
    const part = await exchange.ask(get('/file.txt', 'Range: bytes=0-0'));
    expect([part.status, field(part, 'Cache-Control')]).toEqual([206, expected]);
  });
});

describe('the option headers', () => {
  it('goes with every file, also with 206 and 304', async () => {
    const headers: [string, string][] = [
      ['Access-Control-Allow-Origin', '*'],
      ['X-Frame-Options', 'DENY'],
    ];
    const exchange = siteOf('content', { headers });
    for (const fields of [[], ['Range: bytes=0-1'], ['If-None-Match: *']]) {
      const response = await exchange.ask(get('/file.txt', ...fields));
      expect(response.fields).toEqual(expect.arrayContaining(headers));
    }
  });

  it('is what it was when the site was made', async () => {
    const headers: [string, string][] = [['X-One', '1']];
    const exchange = siteOf('content', { headers });
    (headers[0] as [string, string])[1] = 'changed';
    headers.push(['X-Two', '2']);
    const response = await exchange.ask(get('/file.txt'));
    expect(field(response, 'X-One')).toBe('1');
    expect(namesOf(response)).not.toContain('X-Two');
  });
});
