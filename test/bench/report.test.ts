import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { drawChart } from '../../bench/harness/chart.ts';
import { fillPage } from '../../bench/harness/page.ts';
import {
  comparisonPart,
  idlePart,
  latencyPart,
  machineLines,
  ranked,
} from '../../bench/harness/report.ts';
import { baseOf, type Comparison, readResults } from '../../bench/harness/results.ts';
import { readPage, tableRows } from '../support/pages.ts';
import { root } from '../support/programs.ts';
import { comparison, RESULTS } from './sampleresults.ts';

const [hello, , file] = RESULTS.comparisons as [Comparison, Comparison, Comparison];

describe('a comparison', () => {
  it('divides by the floor that was measured in turns', () => {
    const [, ours] = ranked(hello);
    expect(ours?.server).toBe('ryegate');
    expect(ours?.over.median).toBeCloseTo(1.14);
    expect(ours?.over.min).toBeCloseTo(1.1);
    expect(ours?.over.max).toBeCloseTo(1.2);
  });

  it('divides by nginx where there is no floor, else by the first server', () => {
    expect(baseOf(file)).toBe('nginx');
    expect(baseOf(comparison('x', { bun: [1], node: [2] }))).toBe('bun');
  });

  it('adds the cost of the load with large files', () => {
    const rows = tableRows(comparisonPart(file).text);
    expect(rows.map(([name, cost]) => [name, cost])).toEqual([
      ['nginx', '101 (91..111)'],
      ['ryegate', '122 (121..123)'],
    ]);
  });

  it('shows the cheapest first: cost, over the floor, times ours, requests, load', () => {
    const rows = tableRows(comparisonPart(hello).text);
    expect(rows.map(([name]) => name)).toEqual(Object.keys(hello.samples));
    expect(rows[0]?.slice(1, 4)).toEqual(['10 (10..20)', '1 (1..1)', '-']);
    expect(rows[1]?.slice(3)).toEqual(['1.09 (38 %)', '1 (1..1)', '100000', '114 %', '10 %']);
    expect(rows.at(-1)?.slice(0, 5)).toEqual([
      'slow-python',
      '423 (400..900)',
      '42.3 (40..45)',
      '-',
      '37.1 (36.4..37.5)',
    ]);
  });

  it('compares two servers by their costs over the floor, which tells how each was disturbed', () => {
    const cost = { requests: 1, seconds: 1, loadCost: 1 };
    const disturbed = {
      floor: [{ ...cost, serverCost: 15 }],
      ryegate: [{ ...cost, serverCost: 22, floor: 20 }],
      nginx: [{ ...cost, serverCost: 11, floor: 10 }],
    };
    const rows = tableRows(comparisonPart({ ...hello, samples: disturbed }).text);
    expect(rows.map(([name, , over, , times]) => [name, over, times])).toEqual([
      ['floor', '1 (1..1)', '0.909 (0.909..0.909)'],
      ['ryegate', '1.1 (1.1..1.1)', '1 (1..1)'],
      ['nginx', '1.1 (1.1..1.1)', '1 (1..1)'],
    ]);
  });

  it('marks servers that close the connection', () => {
    const { text } = comparisonPart({ ...hello, closing: { 'slow-python': true } });
    expect(text).toMatch(/^\| slow-python \(closes\) /m);
    expect(text).toMatch(/\n\n\(closes\): .*\.$/);
    expect(comparisonPart(hello).text).not.toContain('closes');
  });
});

it('latency has the median and the spread of each percentile', () => {
  const [latency] = RESULTS.latencies;
  const { title, text } = latencyPart(latency as NonNullable<typeof latency>);
  expect(title).toBe('latency at 20000 requests/s, 50 % of what node can do, 64 connections');
  expect(tableRows(text)).toEqual([
    [
      'ryegate',
      '52 (50..54)',
      '100 (90..110)',
      '300 (200..400)',
      '1000 (900..2000)',
      '0 (0..3)',
      '20 (20..20)',
    ],
    ['slow-python', 'at most 1234 requests/s', '', '', '', '', ''],
  ]);
});

it('idle memory is that of one connection', () => {
  const { text } = idlePart(RESULTS.idle as NonNullable<typeof RESULTS.idle>);
  expect(tableRows(text)).toEqual([
    ['ryegate', '1 (1..1)', '50 (50..50)', '51 (51..51)', '1 (1..1)', '7 (7..7)'],
  ]);
});

describe('a page', () => {
  const places = ['machine', 'rounds', 'servers', 'comparisons', 'latency', 'idle', 'left'];
  const page = places.map((name) => `Of ${name}:\n\n<!-- bench ${name} -->\nold\n<!-- end -->\n`);
  const filled = fillPage(page.join('\n'), RESULTS);

  it('has its places filled in, and the rest as it was', () => {
    expect(filled).not.toContain('old');
    expect(filled).toContain(`\n${machineLines(RESULTS).join(', ')}.\n`);
    expect(filled).toContain('\n### Hello-64, a title of about the usual length\n\n| server ');
    expect(filled).toContain('\n- gunicorn of hello-64: ended with status 1\n');
    for (const name of places) expect(filled).toContain(`Of ${name}:`);
  });

  it('can be filled in again, with the same result', () => {
    expect(fillPage(filled, RESULTS)).toBe(filled);
  });

  it('has no other places', () => {
    const wrong = '<!-- bench other -->\n<!-- end -->\n';
    expect(() => fillPage(wrong, RESULTS)).toThrow(/no place other: there are machine, /);
  });
});

describe('what the last whole run has found', () => {
  const results = readResults(join(root, 'bench', 'performance.json'));

  it('is what docs/performance.md says', () => {
    const page = readPage('docs/performance.md');
    expect(fillPage(page, results)).toBe(page);
  });

  it('is what docs/performance.svg shows', () => {
    expect(drawChart(results)).toBe(readPage('docs/performance.svg'));
  });
});
