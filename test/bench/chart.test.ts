import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawChart } from '../../bench/harness/chart.ts';
import { Browser, type Screen } from '../support/browser.ts';
import { RESULTS } from './sampleresults.ts';

/** Where the pictures are kept for a look at them: a folder; nowhere by default. */
const kept = process.env.RYEGATE_TEST_PICTURES;

const SCREEN = { width: 1000, height: 1000 };

let folder: string;
let browser: Browser;
const svg = drawChart(RESULTS);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ryegate-chart-'));
  writeFileSync(join(folder, 'chart.svg'), svg);
  browser = await Browser.launch();
}, 60_000);

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

function show(screen: Screen): Promise<void> {
  return browser.open(`file://${folder}/chart.svg`, screen);
}

interface Box {
  text: string;
  size: number;
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Where the texts stand. */
function texts(): Promise<Box[]> {
  return browser.evaluate(`[...document.querySelectorAll('text')].map((element) => {
    const { left, top, right, bottom } = element.getBoundingClientRect();
    const size = Number.parseFloat(getComputedStyle(element).fontSize);
    return { text: element.textContent, size, left, top, right, bottom };
  })`);
}

/** Whether two boxes have more than an edge in common. */
function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top + 1 < b.bottom && b.top + 1 < a.bottom;
}

it('has no number that is none', () => {
  expect(svg).not.toMatch(/NaN|undefined|null|Infinity/);
});

it('is well-formed', async () => {
  await show(SCREEN);
  const error = `new DOMParser().parseFromString(${JSON.stringify(svg)}, 'image/svg+xml')
    .querySelector('parsererror')?.textContent ?? null`;
  expect(await browser.evaluate(error)).toBeNull();
});

describe('the chart', () => {
  it('has a panel for each comparison, and a bar for each server but the floor', async () => {
    await show(SCREEN);
    const titles = await browser.evaluate<string[]>(
      `[...document.querySelectorAll('.row title')].map((element) => element.textContent)`,
    );
    const wanted = RESULTS.comparisons.flatMap(({ samples }) =>
      Object.keys(samples).filter((name) => name !== 'floor'),
    );
    const named = titles.map((title) => title.slice(0, title.indexOf(': ')));
    expect(named.toSorted()).toEqual(wanted.toSorted());
    const written = (await texts()).map(({ text }) => text);
    expect(written).toEqual(expect.arrayContaining(RESULTS.comparisons.map(({ title }) => title)));
    expect(written).toContain('a<b>&"c"');
    expect(written).toContain('a-server-with-a-nam…');
  });

  it('has no text that is small, in another or outside', async () => {
    await show(SCREEN);
    const boxes = await texts();
    const size = await browser.evaluate<Box>(
      'document.documentElement.getBoundingClientRect().toJSON()',
    );
    for (const box of boxes) {
      expect(box.size, box.text).toBeGreaterThanOrEqual(12);
      expect(box.left, box.text).toBeGreaterThanOrEqual(0);
      expect(box.right, box.text).toBeLessThanOrEqual(size.right);
      expect(box.bottom, box.text).toBeLessThanOrEqual(size.bottom);
      const others = boxes.filter((other) => other !== box && overlap(box, other));
      expect(others.map(({ text }) => `${box.text} / ${text}`)).toEqual([]);
    }
  });

  it('cuts bars that do not fit, with a mark and their number', async () => {
    await show(SCREEN);
    const cut = await browser.evaluate<string[]>(
      `[...document.querySelectorAll('.row')].filter((row) => row.querySelector('.cut'))
        .map((row) => row.querySelector('.number').textContent)`,
    );
    expect(cut).toEqual(['42.3', '13.0', '120']);
  });

  it.each(['light', 'dark'] as const)('has the colours of a %s page', async (scheme) => {
    await show({ ...SCREEN, scheme });
    const { file, image } = await browser.screenshot();
    if (kept !== undefined) writeFileSync(join(kept, `chart-${scheme}.png`), file);
    // Of the background, beside the heading.
    const at = 4 * (10 * image.width + 10);
    const bright = (image.data[at] as number) > 127;
    expect(bright).toBe(scheme === 'light');
  });
});
