import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { FolderEntry } from '../../src/files/folder.ts';
import { LISTING_POLICY, listingPage } from '../../src/files/listing.ts';

function file(name: string, size = 0, modified = 0): FolderEntry {
  return { name, isFolder: false, size, modified };
}

function page(entries: FolderEntry[], path = '/', hasParent = false, isCut = false): string {
  return listingPage(path, { entries, isCut }, hasParent).toString();
}

/** What each row shows, and the address that it leads to. */
function rows(html: string): { name: string; address: string; size: string; time: string }[] {
  const pattern =
    /<td><a href="([^"]*)"><bdi>([^<]*)<\/bdi><\/a><\/td><td>([^<]*)<\/td><td>([^<]*)<\/td>/g;
  return [...html.matchAll(pattern)].map(([, address = '', name = '', size = '', time = '']) => ({
    name,
    address,
    size,
    time,
  }));
}

function namesOf(entries: FolderEntry[]): string[] {
  return rows(page(entries)).map(({ name }) => name);
}

describe('a listing', () => {
  test('has folders first, then names in natural order without regard to case', () => {
    const mixed = ['b10', 'B2', 'a', 'C', 'b1', '\xc3\xa9', 'f'].map((name) => file(name));
    const folder = { ...file('z'), isFolder: true };
    expect(namesOf([...mixed, folder])).toEqual(['z/', 'a', 'b1', 'B2', 'b10', 'C', 'é', 'f']);
  });

  test('has one order for names that look the same', () => {
    const same = ['\xff', '\xfe', 'a', 'A'].map((name) => file(name));
    const addresses = ['./a', './A', './%FE', './%FF'];
    expect(rows(page(same)).map(({ address }) => address)).toEqual(addresses);
    expect(rows(page(same.reverse())).map(({ address }) => address)).toEqual(addresses);
  });

  test.each([
    ['<script>', '&lt;script&gt;', './%3Cscript%3E'],
    ['"onload=x', '&quot;onload=x', './%22onload=x'],
    ["'&amp;", "'&amp;amp;", './%27%26amp%3B'],
    ['javascript:x', 'javascript:x', './javascript:x'],
    ['a\nb\x7f', 'a\ufffdb\ufffd', './a%0Ab%7F'],
    ['\xff', '\ufffd', './%FF'],
    ['gpj.\xe2\x80\xaeexe', 'gpj.\ufffdexe', './gpj.%E2%80%AEexe'],
    ['?a#b%', '?a#b%', './%3Fa%23b%25'],
    ['\\', '\\', './%5C'],
    [' ', ' ', './%20'],
  ])('shows and links the name %j safely', (name, text, address) => {
    expect(rows(page([file(name)]))).toEqual([
      { name: text, address, size: '0 B', time: '1970-01-01 00:00' },
    ]);
  });

  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [10_188, '9.9 KiB'],
    [10_189, '10 KiB'],
    [1_048_063, '1023 KiB'],
    [1_048_064, '1.0 MiB'],
    [5 * 2 ** 30, '5.0 GiB'],
    [2 ** 60, '1024 PiB'],
  ])('shows a size of %d as %s', (size, shown) => {
    expect(rows(page([file('a', size)]))[0]?.size).toBe(shown);
  });

  test.each([
    [Date.UTC(2024, 1, 29, 23, 59, 59), '2024-02-29 23:59'],
    [Date.UTC(9999, 11, 31, 23, 59), '9999-12-31 23:59'],
    [Date.UTC(10_000, 0), ''],
    [-1, ''],
    [1e300, ''],
    [Number.NaN, ''],
  ])('shows the time %d as %j', (modified, shown) => {
    expect(rows(page([file('a', 0, modified)]))[0]?.time).toBe(shown);
  });

  test('is headed by its path', () => {
    const html = page([], '/<b>/\xc3\xbc\xff/');
    expect(html).toContain('<title>Index of /&lt;b&gt;/ü\ufffd/</title>');
    expect(html).toContain('<h1>Index of /&lt;b&gt;/ü\ufffd/</h1>');
  });

  test('leads to the folder above where there is one', () => {
    expect(rows(page([], '/a/', true))).toMatchObject([{ name: 'Parent folder', address: '../' }]);
    expect(rows(page([], '/', false))).toEqual([]);
  });

  test('says that there is nothing, or more', () => {
    expect(page([])).toContain('<p>This folder is empty.</p>');
    expect(page([file('a')])).not.toContain('<p>');
    expect(page([file('a')], '/', false, true)).toContain('more entries than 2000: only some');
  });

  test('has a policy for its own style, and no script', () => {
    const html = page([file('a')]);
    const [, style = ''] = /<style>([\s\S]*)<\/style>/.exec(html) ?? [];
    const hash = createHash('sha256').update(style).digest('base64');
    expect(style).not.toBe('');
    expect(LISTING_POLICY).toContain(`default-src 'none'; style-src 'sha256-${hash}'`);
    expect(html).not.toMatch(/<script| style=| on[a-z]+=/);
  });
});
