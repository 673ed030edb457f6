import {
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type CachedFile,
  OpenFileCache,
  type OpenFileCacheSettings,
} from '../../src/files/openfilecache.ts';
import { Root } from '../../src/files/root.ts';
import { DEFAULT_CACHE } from '../../src/files/staticoptions.ts';
import { pattern, type SiteFolder, siteFolders } from './sitefolder.ts';

const makeFolder = siteFolders();
const open: OpenFileCache[] = [];

afterEach(() => {
  for (const cache of open.splice(0)) cache.close();
});

function cacheOf(folder: SiteFolder, settings: Partial<OpenFileCacheSettings> = {}): OpenFileCache {
  const cache = new OpenFileCache(new Root(folder.root), {
    ...DEFAULT_CACHE,
    revalidate: 3600,
    ...settings,
  });
  open.push(cache);
  return cache;
}

/** The body of a small file, the bytes of an open one; null for nothing. */
async function contentOf(cache: OpenFileCache, path: string): Promise<string | null> {
  const file = await cache.get(path, false);
  if (file === null) return null;
  return `${file.body ?? readFileSync(`/proc/self/fd/${file.file?.fd}`)}`;
}

/** The files below `folder` that this process has open, by their names there. */
function openBelow({ root }: SiteFolder): string[] {
  const names: string[] = [];
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`).replace(/ \(deleted\)$/, '');
      if (target.startsWith(`${root}/`)) names.push(target.slice(root.length + 1));
    } catch {
      // That of the listing itself.
    }
  }
  return names.sort();
}

const STRICT = { revalidate: 0 };
const KINDS: [kind: string, size: number][] = [
  ['small', 1000],
  ['large', 100_000],
];

describe.each(KINDS)('a %s file', (_, size) => {
  const content = (letter: string): string => letter.repeat(size);

  it('is found at once when it is in memory, and is the same again', async () => {
    const folder = makeFolder();
    folder.write('a/file', content('a'));
    const cache = cacheOf(folder);
    await cache.get('a/file', false);
    const first = cache.get('a/file', false) as CachedFile;
    expect(first).not.toBeInstanceOf(Promise);
    expect(cache.get('a/file', false)).toBe(first);
    expect(first.size).toBe(size);
    expect(first.isFolder).toBe(false);
  });

  it('stays what it was until it is looked at again', async () => {
    const folder = makeFolder();
    folder.write('file', content('a'));
    const cache = cacheOf(folder);
    expect(await contentOf(cache, 'file')).toBe(content('a'));
    folder.replace('file', content('b'));
    expect(await contentOf(cache, 'file')).toBe(content('a'));
    folder.remove('file');
    expect(await contentOf(cache, 'file')).toBe(content('a'));
    cache.clear();
    expect(await contentOf(cache, 'file')).toBeNull();
  });

  it('is looked at again after the time to revalidate', async () => {
    const folder = makeFolder();
    folder.write('file', content('a'));
    const cache = cacheOf(folder, { revalidate: 0.03 });
    expect(await contentOf(cache, 'file')).toBe(content('a'));
    folder.replace('file', content('b'));
    await expect.poll(() => contentOf(cache, 'file')).toBe(content('b'));
    folder.remove('file');
    await expect.poll(() => contentOf(cache, 'file')).toBeNull();
    folder.write('file', content('c'));
    await expect.poll(() => contentOf(cache, 'file')).toBe(content('c'));
  });

  it('is looked at every time in strict mode, and kept while it is the same', async () => {
    const folder = makeFolder();
    folder.write('file', content('a'));
    const cache = cacheOf(folder, STRICT);
    const first = await cache.get('file', false);
    expect(cache.get('file', false)).toBe(first);
    for (let i = 0; i < 20; i += 1) {
      const letter = String.fromCharCode(98 + i);
      // The same size and time: another inode.
      folder.replace('file', content(letter));
      expect(await contentOf(cache, 'file')).toBe(content(letter));
    }
    folder.remove('file');
    expect(await contentOf(cache, 'file')).toBeNull();
    folder.write('file', content('z'));
    expect(await contentOf(cache, 'file')).toBe(content('z'));
  });

  it('that is rewritten in place is seen in strict mode, however often', async () => {
    const folder = makeFolder();
    const cache = cacheOf(folder, STRICT);
    const path = folder.path('file');
    for (let i = 0; i < 50; i += 1) {
      const letter = String.fromCharCode(97 + (i % 26));
      // The time of the write itself, which may not differ from that of the one before.
      writeFileSync(path, content(letter));
      expect(await contentOf(cache, 'file')).toBe(content(letter));
    }
  });

  it('whose time is set back after it was rewritten is seen by that of its change', async () => {
    const folder = makeFolder();
    const cache = cacheOf(folder, STRICT);
    const path = folder.write('file', content('a'));
    expect(await contentOf(cache, 'file')).toBe(content('a'));
    folder.write('file', content('b'));
    expect(await contentOf(cache, 'file')).toBe(content('b'));
    utimesSync(path, 5, 5);
    expect((await cache.get('file', false))?.lastModified).toBe(5000);
  });

  it('may be replaced by a folder and come back', async () => {
    const folder = makeFolder();
    const cache = cacheOf(folder, STRICT);
    for (let i = 0; i < 3; i += 1) {
      folder.write('it', content('f'));
      expect(await contentOf(cache, 'it')).toBe(content('f'));
      expect(await contentOf(cache, 'it/inner')).toBeNull();
      folder.remove('it');
      folder.write('it/inner', content('i'));
      expect((await cache.get('it', false))?.isFolder).toBe(true);
      expect(await contentOf(cache, 'it/inner')).toBe(content('i'));
      folder.remove('it');
      expect(await contentOf(cache, 'it/inner')).toBeNull();
    }
  });

  it('is found for as long as a link leads to it', async () => {
    const folder = makeFolder();
    const cache = cacheOf(folder, STRICT);
    folder.write('v1/file', content('1'));
    folder.write('v2/file', content('2'));
    folder.link('current', 'v1');
    folder.link('absolute', folder.path('current/file'));
    expect(await contentOf(cache, 'current/file')).toBe(content('1'));
    expect(await contentOf(cache, 'absolute')).toBe(content('1'));
    folder.link('next', 'v2');
    renameSync(folder.path('next'), folder.path('current'));
    expect(await contentOf(cache, 'current/file')).toBe(content('2'));
    expect(await contentOf(cache, 'absolute')).toBe(content('2'));
  });

  it('is asked for by many at once, and read once', async () => {
    const folder = makeFolder();
    folder.write('file', content('a'));
    folder.link('absolute', folder.path('file'));
    const cache = cacheOf(folder);
    // A link that is absolute is waited for.
    const files = await Promise.all(Array.from({ length: 50 }, () => cache.get('absolute', false)));
    expect(new Set(files).size).toBe(1);
    expect(openBelow(folder)).toEqual(size > 50_000 ? ['file'] : []);
  });
});

describe('the root', () => {
  it.each(KINDS)('may be replaced as a whole, with a %s file in it', async (_, size) => {
    const folder = makeFolder();
    folder.write('file', '1'.repeat(size));
    const cache = cacheOf(folder, STRICT);
    for (const letter of ['1', '2', '3']) {
      expect(await contentOf(cache, 'file')).toBe(letter.repeat(size));
      folder.write('../next/file', String(Number(letter) + 1).repeat(size));
      renameSync(folder.root, `${folder.base}/old${letter}`);
      expect(await contentOf(cache, 'file')).toBeNull();
      renameSync(`${folder.base}/next`, folder.root);
    }
    expect(await contentOf(cache, 'file')).toBe('4'.repeat(size));
    expect(openBelow(folder)).toHaveLength(size > 50_000 ? 1 : 0);
  });

  it('may be a link that is switched', async () => {
    const folder = makeFolder();
    folder.write('../v1/file', '1');
    folder.write('../v2/file', '2');
    folder.write('../v2/target', 'linked');
    folder.link('../v2/link', `${folder.base}/v2/target`);
    folder.link('../current', 'v1');
    const cache = new OpenFileCache(new Root(`${folder.base}/current`), {
      ...DEFAULT_CACHE,
      ...STRICT,
    });
    open.push(cache);
    expect(await contentOf(cache, 'file')).toBe('1');
    expect(await contentOf(cache, 'link')).toBeNull();
    folder.link('../next', 'v2');
    renameSync(`${folder.base}/next`, `${folder.base}/current`);
    expect(await contentOf(cache, 'file')).toBe('2');
    expect(await contentOf(cache, 'link')).toBe('linked');
  });

  it('is a folder like any other for whoever asks for it, and kept', async () => {
    const folder = makeFolder();
    const cache = cacheOf(folder, STRICT);
    const time = Date.now() / 1000 - 3600;
    utimesSync(folder.root, time, time);
    const first = await cache.get('', false);
    expect(first?.isFolder).toBe(true);
    expect(cache.get('', false)).toBe(first);
  });

  it('that is replaced while a file is waited for is not the one that answers', async () => {
    const folder = makeFolder();
    folder.write('file', 'old');
    folder.link('absolute', folder.path('file'));
    const cache = cacheOf(folder, STRICT);
    const waited = cache.get('absolute', false);
    expect(waited).toBeInstanceOf(Promise);
    folder.write('../next/file', 'new');
    renameSync(folder.root, `${folder.base}/old`);
    renameSync(`${folder.base}/next`, folder.root);
    folder.link('absolute', folder.path('file'));
    expect(await contentOf(cache, 'file')).toBe('new');
    expect(`${(await waited)?.body}`).toBe('new');
    expect(await contentOf(cache, 'absolute')).toBe('new');
  });
});

describe('the bounds', () => {
  it('on entries hold for open files', async () => {
    const folder = makeFolder();
    for (let i = 0; i < 40; i += 1) folder.write(`${i}`, `${i}`);
    const cache = cacheOf(folder, { entries: 10, fileBytes: 0 });
    for (let i = 0; i < 200; i += 1) {
      const name = (i * 7) % 40;
      expect(await contentOf(cache, `${name}`)).toBe(`${name}`);
      expect(openBelow(folder).length).toBeLessThanOrEqual(10);
    }
    expect(openBelow(folder).length).toBe(10);
  });

  it('on entries hold for folders and what is not there', async () => {
    const folder = makeFolder();
    for (let i = 0; i < 40; i += 1) folder.write(`${i}/x`, '');
    const cache = cacheOf(folder, { entries: 10 });
    const first = await cache.get('0', false);
    for (let i = 1; i < 40; i += 1) {
      await cache.get(`${i}`, false);
      await cache.get(`${i}/missing`, false);
    }
    expect(openBelow(folder)).toEqual([]);
    expect(await cache.get('0', false)).not.toBe(first);
  });

  it('on bytes hold: what no longer fits goes', async () => {
    const folder = makeFolder();
    for (let i = 0; i < 20; i += 1) folder.write(`${i}`, pattern(10_000, i));
    const cache = cacheOf(folder, { entries: 10, bytes: 45_000 });
    const first = new Map<number, CachedFile | null>();
    for (let i = 0; i < 20; i += 1) first.set(i, await cache.get(`${i}`, false));
    const kept: number[] = [];
    // From the last one: those that are read again make others go.
    for (let i = 19; i >= 0; i -= 1) {
      const file = await cache.get(`${i}`, false);
      expect(file?.body?.equals(pattern(10_000, i))).toBe(true);
      if (file === first.get(i)) kept.push(i);
    }
    expect(kept).toEqual([19, 18, 17, 16, 15].slice(0, kept.length));
    // What an entry costs by itself may be used by contents.
    expect(kept.length).toBeGreaterThanOrEqual(4);
    expect(kept.length).toBeLessThanOrEqual(5);
  });

  it('on bytes of zero keep nothing but empty files and open ones', async () => {
    const folder = makeFolder();
    folder.write('one', '1');
    folder.write('empty', '');
    folder.write('large', pattern(100_000));
    const cache = cacheOf(folder, { bytes: 0 });
    for (const [name, isKept] of [
      ['one', false],
      ['empty', true],
      ['large', true],
    ] as const) {
      const file = await cache.get(name, false);
      expect((await cache.get(name, false)) === file, name).toBe(isKept);
    }
  });

  it.each([0, 100_000])('leave what is used in its place, with fileBytes %i', async (fileBytes) => {
    const folder = makeFolder();
    for (let i = 0; i < 500; i += 1) folder.write(`cold/${i}`, 'cold');
    for (let i = 0; i < 5; i += 1) folder.write(`hot/${i}`, 'hot');
    const cache = cacheOf(folder, { entries: 20, fileBytes });
    const hot: (CachedFile | null)[] = [];
    for (let i = 0; i < 5; i += 1) hot.push(await cache.get(`hot/${i}`, false));
    for (let i = 0; i < 500; i += 1) {
      await cache.get(`cold/${i}`, false);
      const at = i % 5;
      expect(await cache.get(`hot/${at}`, false), `after ${i}`).toBe(hot[at]);
    }
  });
});

describe('when it is closed', () => {
  it('gives all descriptors back, and finds nothing any more, ever', async () => {
    const folder = makeFolder();
    for (let i = 0; i < 20; i += 1) folder.write(`${i}`, 'x');
    const cache = cacheOf(folder, { fileBytes: 0, revalidate: 0.01 });
    for (let i = 0; i < 20; i += 1) await cache.get(`${i}`, false);
    expect(openBelow(folder)).toHaveLength(20);
    cache.close();
    expect(openBelow(folder)).toEqual([]);
    for (let i = 0; i < 3; i += 1) {
      expect(await cache.get('1', false)).toBeNull();
      expect(cache.get('1', true)).toBeNull();
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    }
    const names = readdirSync('/proc/self/fd').map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return '';
      }
    });
    expect(names).not.toContain(folder.root);
    cache.close();
  });

  it('gives back what is being waited for', async () => {
    const folder = makeFolder();
    folder.write('file', pattern(100_000));
    folder.link('absolute', folder.path('file'));
    const cache = cacheOf(folder);
    const waited = cache.get('absolute', false);
    cache.close();
    expect(await waited).toBeNull();
    expect(openBelow(folder)).toEqual([]);
  });

  it('leaves a file open for whoever uses it still', async () => {
    const folder = makeFolder();
    folder.write('file', pattern(100_000));
    const cache = cacheOf(folder);
    const file = await cache.get('file', false);
    const used = file?.file?.retain();
    cache.close();
    expect(openBelow(folder)).toEqual(['file']);
    expect(used?.closed).toBe(false);
    used?.close();
    expect(openBelow(folder)).toEqual([]);
    expect(used?.closed).toBe(true);
  });
});

describe('when it may not wait', () => {
  it('finds everything at once', () => {
    const folder = makeFolder();
    folder.write('a/small', 'small');
    folder.write('large', pattern(100_000));
    folder.write('../secret', 'secret');
    folder.link('relative', 'a/small');
    folder.link('absolute', folder.path('a/small'));
    folder.link('out', '../secret');
    const cache = cacheOf(folder);
    const found = (path: string): CachedFile => cache.get(path, true) as CachedFile;
    for (const name of ['a/small', 'relative', 'absolute']) {
      expect(`${found(name).body}`, name).toBe('small');
    }
    expect(found('large').size).toBe(100_000);
    expect(found('a').isFolder).toBe(true);
    expect([found('missing'), found('out'), found('a/small/x')]).toEqual([null, null, null]);
  });
});
