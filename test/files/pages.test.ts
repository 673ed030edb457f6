import { mkdirSync, mkdtempSync, realpathSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PNG } from 'pngjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readFolder } from '../../src/files/folder.ts';
import { LISTING_POLICY, listingPage } from '../../src/files/listing.ts';
import { errorPage } from '../../src/http/errorpage.ts';
import { type Application, makeServer, validator, type WSGIServer } from '../../src/index.ts';
import { Browser, type Screen } from '../support/browser.ts';

const DESKTOP: Screen = { width: 1000, height: 700 };
const PHONE: Screen = { width: 390, height: 844, mobile: true };
const SCREENS: [string, Screen][] = [
  ['desktop', DESKTOP],
  ['desktop-dark', { ...DESKTOP, scheme: 'dark' }],
  ['phone', PHONE],
  ['phone-dark', { ...PHONE, scheme: 'dark' }],
];

/** As byte strings, in the order in which they are shown. */
const FOLDERS = ['archive', 'Fotos'];
const FILES = [
  '"quoted" & <b>bold.html',
  'a-name-without-a-single-space-or-hyphen-in-it-'.repeat(4).replaceAll('-', '_'),
  'chapter 2.txt',
  'chapter 10.txt',
  'javascript:alert(1)',
  'line\xe2\x80\xaebreak.txt',
  'not-utf-8-\xff\xfe.bin',
  'percent%2fand?query#hash',
  Buffer.from('Übung Größe 日本.pdf').toString('latin1'),
];
const SIZES = [0, 1, 999, 1023, 1024, 10_239, 1_048_000, 5_000_000, 123];

/** Where the pictures are kept for a look at them: a folder; nowhere by default. */
const kept = process.env.RYEGATE_TEST_PICTURES;

let root: string;
let browser: Browser;
let server: WSGIServer;
let serving: Promise<void>;

beforeAll(async () => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'ryegate-pages-')));
  for (const name of FOLDERS) mkdirSync(join(root, name));
  FILES.forEach((name, index) => {
    const path = Buffer.from(`${root}/${name}`, 'latin1');
    writeFileSync(path, Buffer.alloc(SIZES[index] as number));
    utimesSync(path, 0, Date.UTC(2024, index, 28, 23, 59) / 1000);
  });
  server = makeServer('127.0.0.1', 0, validator(pages));
  serving = server.serveForever();
  browser = await Browser.launch();
}, 60_000);

afterAll(async () => {
  // First, so that the server need not wait for the connections that it keeps in store.
  await browser?.close();
  await server.serverClose();
  await serving;
  rmSync(root, { recursive: true, force: true });
});

const pages: Application = async (environ, startResponse) => {
  const found = environ.PATH_INFO === '/files/';
  startResponse(found ? '200 OK' : '404 Not Found', [
    ['Content-Type', 'text/html; charset=utf-8'],
    ...(found ? [['Content-Security-Policy', LISTING_POLICY] as [string, string]] : []),
  ]);
  if (!found) return errorPage(404, 'Not Found', 'There is no file or folder at this address.');
  return listingPage('/files/', await readFolder(root, '', false), true);
};

async function visit(path: string, screen: Screen): Promise<void> {
  const [host, port] = server.serverAddress as [string, number];
  await browser.open(`http://${host}:${port}${path}`, screen);
}

interface Box {
  text: string;
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Where the elements of a selector stand that hold text and are shown. */
function boxes(selector: string): Promise<Box[]> {
  return browser.evaluate(`[...document.querySelectorAll(${JSON.stringify(selector)})]
    .filter((element) => element.getClientRects().length > 0 && element.textContent !== '')
    .map((element) => {
      const { left, top, right, bottom } = element.getBoundingClientRect();
      return { text: element.textContent, left, top, right, bottom };
    })`);
}

/** WCAG 2.2, "relative luminance", of the pixel at an offset into the picture. */
function luminance(image: PNG, at: number): number {
  const [red, green, blue] = [0, 1, 2].map((channel) => {
    const value = (image.data[at + channel] as number) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** The greatest contrast (WCAG 2.2, "contrast ratio") between the pixels of a box. */
function contrast(image: PNG, { left, top, right, bottom }: Box): number {
  let darkest = 1;
  let brightest = 0;
  for (let y = Math.ceil(top); y < Math.min(bottom, image.height); y++) {
    for (let x = Math.ceil(left); x < Math.min(right, image.width); x++) {
      const light = luminance(image, 4 * (y * image.width + x));
      darkest = Math.min(darkest, light);
      brightest = Math.max(brightest, light);
    }
  }
  return (brightest + 0.05) / (darkest + 0.05);
}

async function picture(name: string): Promise<PNG> {
  const { file, image } = await browser.screenshot();
  if (kept !== undefined) writeFileSync(join(kept, `${name}.png`), file);
  return image;
}

/** Nothing stands out of the screen sideways, and all text stands out from what is behind it. */
async function expectReadable(name: string, selector: string, screen: Screen): Promise<PNG> {
  const image = await picture(name);
  expect([image.width, image.height]).toEqual([screen.width, screen.height]);
  expect(await browser.evaluate('document.documentElement.scrollWidth')).toBe(screen.width);
  const texts = await boxes(selector);
  for (const box of texts.filter(({ bottom }) => bottom <= screen.height)) {
    expect(contrast(image, box), box.text).toBeGreaterThan(4.5);
  }
  for (const box of texts) {
    expect(box.left, box.text).toBeGreaterThanOrEqual(0);
    expect(box.right, box.text).toBeLessThanOrEqual(screen.width);
  }
  return image;
}

/** The brightness of the corner, which belongs to the background. */
function background(image: PNG): number {
  return luminance(image, 0);
}

describe('a listing', () => {
  test.each(SCREENS)('is readable on a %s', async (name, screen) => {
    await visit('/files/', screen);
    const image = await expectReadable(`listing-${name}`, 'h1, bdi, td + td, th', screen);
    if (screen.scheme === 'dark') expect(background(image)).toBeLessThan(0.05);
    else expect(background(image)).toBeGreaterThan(0.9);

    const links = await boxes('a');
    expect(links).toHaveLength(1 + FOLDERS.length + FILES.length);
    const rows = await boxes('tbody tr');
    rows.forEach(({ text, top, bottom }, index) => {
      expect(bottom - top, text).toBeGreaterThanOrEqual(44);
      if (index > 0) expect(top, text).toBeGreaterThanOrEqual(rows[index - 1]?.bottom as number);
    });
  });

  test('names its entries in order, with sizes and times', async () => {
    await visit('/files/', DESKTOP);
    const cells = await browser.evaluate<string[][]>(
      `[...document.querySelectorAll('tbody tr')].map((row) =>
        [...row.cells].map((cell) => cell.textContent))`,
    );
    expect(cells.map(([name]) => name)).toEqual([
      'Parent folder',
      'archive/',
      'Fotos/',
      '"quoted" & <b>bold.html',
      FILES[1],
      'chapter 2.txt',
      'chapter 10.txt',
      'javascript:alert(1)',
      'line\ufffdbreak.txt',
      'not-utf-8-\ufffd\ufffd.bin',
      'percent%2fand?query#hash',
      'Übung Größe 日本.pdf',
    ]);
    expect(cells.slice(3).map(([, size]) => size)).toEqual([
      '0 B',
      '1 B',
      '999 B',
      '1023 B',
      '1.0 KiB',
      '10 KiB',
      '1023 KiB',
      '4.8 MiB',
      '123 B',
    ]);
    expect(cells[3]?.[2]).toBe('2024-01-28 23:59');
    expect(cells[11]?.[2]).toBe('2024-09-28 23:59');
  });

  test('leads a browser to the exact bytes of each name', async () => {
    await visit('/files/', DESKTOP);
    const addresses = await browser.evaluate<string[]>(
      `[...document.links].map((link) => link.href)`,
    );
    const page = await browser.evaluate<string>('location.href');
    const paths = addresses.map((address) => {
      const url = new URL(address);
      expect(url.origin).toBe(new URL(page).origin);
      expect(url.search + url.hash).toBe('');
      return url.pathname.replace(/%([0-9A-F]{2})/g, (_, digits: string) =>
        String.fromCharCode(Number.parseInt(digits, 16)),
      );
    });
    expect(paths).toEqual([
      '/',
      ...FOLDERS.map((name) => `/files/${name}/`),
      ...FILES.map((name) => `/files/${name}`),
    ]);
  });

  test('lets in no style and no script but its own style', async () => {
    await visit('/files/', DESKTOP);
    const found = await browser.evaluate(`(() => {
      const script = document.createElement('script');
      script.textContent = 'globalThis.hasRun = true';
      const style = document.createElement('style');
      style.textContent = 'body { margin: 50px }';
      document.head.append(script, style);
      return [typeof hasRun, getComputedStyle(document.body).margin];
    })()`);
    expect(found).toEqual(['undefined', '0px']);
  });
});

describe('an error page', () => {
  test.each(SCREENS)('is readable on a %s', async (name, screen) => {
    await visit('/missing', screen);
    const image = await expectReadable(`error-${name}`, 'h1, p', screen);
    if (screen.scheme === 'dark') expect(background(image)).toBeLessThan(0.05);
    else expect(background(image)).toBeGreaterThan(0.9);
    expect((await boxes('h1, p')).map(({ text }) => text)).toEqual([
      '404 Not Found',
      'There is no file or folder at this address.',
    ]);
  });
});
