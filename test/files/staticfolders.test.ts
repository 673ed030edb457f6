import { renameSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type StaticFilesOptions, staticFiles } from '../../src/files/index.ts';
import type { Application } from '../../src/index.ts';
import { type Exchange, exchanges, get, PLAIN, request } from '../support/exchange.ts';
import { field, text } from '../support/rawclient.ts';
import { type SiteFolder, siteFolders } from './sitefolder.ts';

const serve = exchanges();
const makeFolder = siteFolders();

function serving(files: string[], options: StaticFilesOptions = {}): [Exchange, SiteFolder] {
  const folder = makeFolder();
  for (const name of files) folder.write(name, `of ${name}`);
  return [serve(staticFiles(folder.root, options)), folder];
}

/** Status and body, or where it leads. */
async function answer(exchange: Exchange, target: string): Promise<[number, string]> {
  const response = await exchange.ask(get(target));
  return [response.status, field(response, 'Location') ?? text(response)];
}

/** Says what it was asked for. */
const said: Application = (environ, startResponse) => {
  const { REQUEST_METHOD, SCRIPT_NAME, PATH_INFO, QUERY_STRING } = environ;
  startResponse('200 OK', PLAIN);
  return [`next: ${REQUEST_METHOD} [${SCRIPT_NAME}] [${PATH_INFO}] [${QUERY_STRING}]`];
};

describe('a folder', () => {
  it('is stood for by its index.html', async () => {
    const [exchange] = serving(['index.html', 'a/index.html', 'a/b/index.html']);
    expect(await answer(exchange, '/')).toEqual([200, 'of index.html']);
    expect(await answer(exchange, '/a/')).toEqual([200, 'of a/index.html']);
    expect(await answer(exchange, '/a/b/?x')).toEqual([200, 'of a/b/index.html']);
    const response = await exchange.ask(get('/a/'));
    expect(field(response, 'Content-Type')).toBe('text/html; charset=utf-8');
    const [etag] = [field(response, 'ETag')];
    expect((await exchange.ask(get('/a/', `If-None-Match: ${etag}`))).status).toBe(304);
  });

  it('is stood for by the first index file that is a file', async () => {
    const index = ['first', 'second.htm', 'third.txt'];
    const [exchange, folder] = serving(['a/third.txt', 'a/second.htm', 'b/third.txt'], {
      index,
      cache: { revalidate: 0 },
    });
    folder.write('a/first/inner', 'no file stands here');
    expect(await answer(exchange, '/a/')).toEqual([200, 'of a/second.htm']);
    expect(await answer(exchange, '/b/')).toEqual([200, 'of b/third.txt']);
    folder.write('b/first', 'it came later');
    expect(await answer(exchange, '/b/')).toEqual([200, 'it came later']);
  });

  it('may have an index file of any name', async () => {
    const [exchange] = serving(['a/Größe'], { index: ['Größe'] });
    expect(await answer(exchange, '/a/')).toEqual([200, 'of a/Größe']);
  });

  it('is not found without one, nor with no index names at all', async () => {
    const [exchange] = serving(['a/x', 'index.html'], { index: [] });
    expect((await answer(exchange, '/a/'))[0]).toBe(404);
    expect((await answer(exchange, '/'))[0]).toBe(404);
    expect(await answer(exchange, '/index.html')).toEqual([200, 'of index.html']);
  });

  it('without a slash at its end is sent on, with the query', async () => {
    const [exchange] = serving(['a b/index.html', 'a b/ö/index.html']);
    expect(await answer(exchange, '/a%20b')).toEqual([301, '/a%20b/']);
    expect(await answer(exchange, '/a%20b?x=%2f&y=?')).toEqual([301, '/a%20b/?x=%2f&y=?']);
    expect(await answer(exchange, '/a%20b/%c3%b6')).toEqual([301, '/a%20b/%C3%B6/']);
    const head = await exchange.ask(request('HEAD', '/a%20b'), 'HEAD');
    expect([head.status, field(head, 'Location')]).toEqual([301, '/a%20b/']);
  });
});

describe('a file', () => {
  it('with a slash at its end is not found', async () => {
    const [exchange] = serving(['file.txt', 'a/index.html']);
    for (const target of ['/file.txt/', '/file.txt/x', '/a/index.html/', '/file.txt/?x']) {
      expect((await answer(exchange, target))[0], target).toBe(404);
    }
  });

  it.each([
    ['not UTF-8', '\xff\xfe.txt', '%ff%FE.txt'],
    ['in UTF-8', Buffer.from('Übung 日本').toString('latin1'), '%C3%9Cbung%20%E6%97%A5%E6%9C%AC'],
    ['percent signs', '100%25.txt', '100%2525.txt'],
    ['a query in its name', 'a?b#c;d=e&f.txt', 'a%3Fb%23c;d=e&f.txt'],
    ['quotes', '"it\'s" <b>', '%22it%27s%22%20%3Cb%3E'],
    ['a plus sign', 'a+b', 'a+b'],
    ['255 bytes', 'n'.repeat(255), 'n'.repeat(255)],
    ['255 bytes that are encoded', '\xc3'.repeat(255), '%c3'.repeat(255)],
    ['several dots', '...a..b...', '...a..b...'],
    ['a space at its end', 'a ', 'a%20'],
  ])('whose name is or has %s', async (title, name, encoded) => {
    const folder = makeFolder();
    writeFileSync(Buffer.from(`${folder.root}/${name}`, 'latin1'), title);
    const exchange = serve(staticFiles(folder.root, { dotfiles: true }));
    expect(await answer(exchange, `/${encoded}`)).toEqual([200, title]);
    expect((await answer(exchange, `/${encoded}x`))[0]).toBe(404);
  });

  it('may lie as deep as the system can reach', async () => {
    const folders = Array.from({ length: 14 }, (_, i) => `${i}`.padEnd(250, 'd'));
    const [exchange, folder] = serving([]);
    folder.write(`${folders.join('/')}/f`, 'deep');
    expect(await answer(exchange, `/${folders.join('/')}/f`)).toEqual([200, 'deep']);
  });
});

describe('a link', () => {
  it('is followed within the root, relative or absolute, to files and folders', async () => {
    const [exchange, folder] = serving(['a/file.txt', 'index.html']);
    folder.link('relative.txt', 'a/file.txt');
    folder.link('absolute.txt', folder.path('a/file.txt'));
    folder.link('a/up.txt', '../index.html');
    folder.link('folder', 'a');
    folder.link('absolute-folder', folder.path('a'));
    folder.link('chain', 'absolute-folder');
    folder.link('b/back', '../b/../a/../index.html');
    for (const target of [
      '/relative.txt',
      '/absolute.txt',
      '/folder/file.txt',
      '/absolute-folder/file.txt',
      '/chain/file.txt',
    ]) {
      for (let i = 0; i < 2; i += 1) {
        expect(await answer(exchange, target), target).toEqual([200, 'of a/file.txt']);
      }
    }
    expect(await answer(exchange, '/a/up.txt')).toEqual([200, 'of index.html']);
    expect(await answer(exchange, '/b/back')).toEqual([200, 'of index.html']);
    expect(await answer(exchange, '/chain')).toEqual([301, '/chain/']);
  });

  it('is followed within a root that is a link itself', async () => {
    const folder = makeFolder();
    folder.write('file.txt', 'content');
    folder.link('link', 'file.txt');
    folder.link('absolute', folder.path('file.txt'));
    folder.link('../current', 'root');
    const exchange = serve(staticFiles(`${folder.base}/current`, { listing: true }));
    expect(await answer(exchange, '/link')).toEqual([200, 'content']);
    expect(await answer(exchange, '/absolute')).toEqual([200, 'content']);
    const [, listing] = await answer(exchange, '/');
    expect(listing).toMatch(/absolute[\s\S]*file\.txt[\s\S]*link/);
  });

  it('is not followed out of the root, nor in circles or into nothing', async () => {
    const [exchange, folder] = serving(['a/file.txt']);
    folder.write('../secret.txt', 'secret');
    folder.link('out', '../secret.txt');
    folder.link('out-absolute', `${folder.base}/secret.txt`);
    folder.link('out-folder', '..');
    folder.link('circle', 'circle');
    folder.link('nothing', 'missing');
    for (const target of [
      '/out',
      '/out-absolute',
      '/out-folder/secret.txt',
      '/out-folder/',
      '/circle',
      '/nothing',
    ]) {
      expect((await answer(exchange, target))[0], target).toBe(404);
    }
  });
});

describe('listing', () => {
  it('is off by default', async () => {
    const [exchange] = serving(['a/file.txt']);
    expect((await answer(exchange, '/'))[0]).toBe(404);
    expect((await answer(exchange, '/a/'))[0]).toBe(404);
  });

  it('shows a folder that has no index file', async () => {
    const [exchange] = serving(['a/file.txt', 'a/.hidden', 'b/index.html'], { listing: true });
    const response = await exchange.ask(get('/a/'));
    expect([response.status, field(response, 'Content-Type')]).toEqual([
      200,
      'text/html; charset=utf-8',
    ]);
    expect(text(response)).toContain('href="./file.txt"');
    expect(text(response)).not.toContain('hidden');
    expect(await answer(exchange, '/a')).toEqual([301, '/a/']);
    expect(await answer(exchange, '/b/')).toEqual([200, 'of b/index.html']);
    const head = await exchange.ask(request('HEAD', '/a/'), 'HEAD');
    expect(field(head, 'Content-Length')).toBe(`${response.body.length}`);
  });

  it('is of the folder as it is now', async () => {
    const [exchange, folder] = serving(['a/one.txt'], {
      listing: true,
      cache: { revalidate: 3600 },
    });
    expect(text(await exchange.ask(get('/a/')))).not.toContain('two.txt');
    folder.write('a/two.txt', 'x');
    expect(text(await exchange.ask(get('/a/')))).toContain('two.txt');
  });

  it('of a folder that has just gone is not found', async () => {
    const [exchange, folder] = serving(['a/one.txt'], {
      listing: true,
      cache: { revalidate: 3600 },
    });
    expect((await answer(exchange, '/a/'))[0]).toBe(200);
    folder.remove('a');
    expect((await answer(exchange, '/a/'))[0]).toBe(404);
    expect(exchange.errors.getValue()).toBe('');
  });

  it('of a folder that has become a link out of the root is not shown', async () => {
    const [exchange, folder] = serving(['a/one.txt'], {
      listing: true,
      cache: { revalidate: 3600 },
    });
    expect((await answer(exchange, '/a/'))[0]).toBe(200);
    folder.write('../secret/name.txt', 'x');
    folder.remove('a');
    folder.link('a', '../secret');
    expect((await answer(exchange, '/a/'))[1]).not.toContain('name.txt');
  });
});

describe('prefix', () => {
  it('is where the root is, and nothing else is found', async () => {
    const [exchange] = serving(['index.html', 'a/file.txt'], { prefix: '/as sets/ö' });
    expect(await answer(exchange, '/as%20sets/%c3%b6/')).toEqual([200, 'of index.html']);
    expect(await answer(exchange, '/as%20sets/%c3%b6/a/file.txt')).toEqual([200, 'of a/file.txt']);
    expect(await answer(exchange, '/as%20sets/%c3%b6?q')).toEqual([301, '/as%20sets/%C3%B6/?q']);
    for (const target of ['/', '/a/file.txt', '/as%20sets/', '/as%20sets/%c3%b6a/file.txt', '/x']) {
      expect((await answer(exchange, target))[0], target).toBe(404);
    }
  });

  it('may end with a slash, or be one', async () => {
    for (const prefix of ['/p/', '/p']) {
      const [exchange] = serving(['file.txt'], { prefix });
      expect(await answer(exchange, '/p/file.txt')).toEqual([200, 'of file.txt']);
    }
    const [exchange] = serving(['file.txt'], { prefix: '/' });
    expect(await answer(exchange, '/file.txt')).toEqual([200, 'of file.txt']);
  });
});

describe('next', () => {
  it('answers what is not found here', async () => {
    const [exchange] = serving(['index.html', 'a/file.txt', 'b/index.html'], {
      next: said,
      prefix: '/p',
    });
    expect(await answer(exchange, '/p/')).toEqual([200, 'of index.html']);
    expect(await answer(exchange, '/p/b')).toEqual([301, '/p/b/']);
    for (const target of [
      '/',
      '/px',
      '/p/missing',
      '/p/a/',
      '/p/a/file.txt/',
      '/p/a/../x',
      '/p/.hidden',
    ]) {
      expect(await answer(exchange, target)).toEqual([200, `next: GET [] [${target}] []`]);
    }
    expect(await answer(exchange, '/else?a=b')).toEqual([200, 'next: GET [] [/else] [a=b]']);
  });

  it('has the whole environ', async () => {
    const next: Application = (environ, startResponse) => {
      startResponse('200 OK', [['Content-Type', 'text/plain']]);
      return [String(environ['ryegate.signal'] instanceof AbortSignal)];
    };
    const [exchange] = serving([], { next });
    expect(await answer(exchange, '/missing')).toEqual([200, 'true']);
  });

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('answers %s, also for a file', async (method) => {
    const [exchange] = serving(['file.txt'], { next: said });
    const response = await exchange.ask(request(method, '/file.txt'), method);
    expect(text(response)).toBe(`next: ${method} [] [/file.txt] []`);
  });

  it('answers HEAD of what is not found', async () => {
    const [exchange] = serving([], { next: said });
    const response = await exchange.ask(request('HEAD', '/x'), 'HEAD');
    expect([response.status, field(response, 'Content-Type')]).toEqual([200, 'text/plain']);
  });

  it('may be asynchronous, fail, or be static files again', async () => {
    const other = makeFolder();
    other.write('two.txt', 'of the second');
    other.write('one.txt', 'never seen');
    const failing: Application = async () => {
      throw new Error('of the next');
    };
    const second = staticFiles(other.root, { next: failing });
    const [exchange] = serving(['one.txt'], { next: second });
    expect(await answer(exchange, '/one.txt')).toEqual([200, 'of one.txt']);
    expect(await answer(exchange, '/two.txt')).toEqual([200, 'of the second']);
    expect((await answer(exchange, '/three.txt'))[0]).toBe(500);
    expect(exchange.errors.getValue()).toContain('of the next');
  });
});

describe('dotfiles', () => {
  const FILES = ['.env', '.well-known/a.txt', '.well-known/.b', 'c/.d/e.txt', 'c/f.txt'];

  it.each<[StaticFilesOptions['dotfiles'], string[]]>([
    [undefined, ['c/f.txt']],
    [false, ['c/f.txt']],
    [true, FILES],
    [['.well-known'], ['.well-known/a.txt', 'c/f.txt']],
    [
      ['.well-known', '.d'],
      ['.well-known/a.txt', 'c/.d/e.txt', 'c/f.txt'],
    ],
    [[], ['c/f.txt']],
  ])('%j serves %j', async (dotfiles, expected) => {
    const [exchange] = serving(FILES, { dotfiles });
    const found: string[] = [];
    for (const name of FILES) if ((await answer(exchange, `/${name}`))[0] === 200) found.push(name);
    expect(found).toEqual(expected);
  });
});

it.each(['/', '/etc/', '/usr/'])(
  '%s is not that of the system when the root has gone',
  async (path) => {
    const folder = makeFolder();
    for (const name of ['etc/site.txt', 'usr/site.txt']) folder.write(name, 'site');
    const exchange = serve(
      staticFiles(folder.root, { listing: true, cache: { revalidate: 1000 } }),
    );
    expect((await answer(exchange, path))[0]).toBe(200);
    renameSync(folder.root, `${folder.root}.old`);
    expect((await answer(exchange, path))[0]).toBe(404);
  },
);
