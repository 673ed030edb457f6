import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkAnswers } from '../../bench/guard/answers.ts';
import { type Baseline, checkRatios } from '../../bench/guard/baseline.ts';
import { type Case, makeCases } from '../../bench/guard/cases.ts';
import { Trial } from '../../bench/guard/trial.ts';
import type { Application } from '../../src/index.ts';

const BASE: Case = {
  name: 'a case',
  serve: 'serveForeverSync',
  connections: 4,
  pipelined: 1,
  request: Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  application: () => [],
  body: Buffer.from('hello'),
};

function answering(application: Application, rest: Partial<Case> = {}): Promise<Trial> {
  return Trial.prepare({ ...BASE, ...rest, application }, 100);
}

/** Says hello after so many microseconds of CPU time. */
function busy(microseconds: number): Application {
  return (_environ, startResponse) => {
    const begun = process.cpuUsage();
    for (let used = 0; used < microseconds; ) {
      const { user, system } = process.cpuUsage(begun);
      used = user + system;
    }
    startResponse('200 OK', []);
    return ['hello'];
  };
}

describe('a trial', () => {
  test.each(['serveForeverSync', 'serveForever'] as const)('by %s', async (serve) => {
    const trial = await answering(busy(200), { serve, pipelined: 2 });
    const { ryegate, floor } = await trial.measure();
    expect(ryegate).toBeGreaterThan(190);
    expect(floor).toBeGreaterThan(0);
  });

  test('of another body than expected', async () => {
    const trial = answering((_environ, startResponse) => {
      startResponse('200 OK', []);
      return ['HELLO'];
    });
    await expect(trial).rejects.toThrow('a case: answer 1 has another body');
  });

  test('of answers that grow', async () => {
    let length = 5;
    const trial = answering(
      (_environ, startResponse) => {
        startResponse('200 OK', []);
        return ['hello'.padEnd(length++, '!')];
      },
      { connections: 1 },
    );
    await expect(trial).rejects.toThrow('answers have become longer by 1 bytes');
  });
});

describe('the answers', () => {
  const head = 'HTTP/1.1 200 OK\r\nDate: now\r\nServer: this\r\nContent-Length: 5\r\n\r\n';
  const check = (text: string, pipelined = 1): void =>
    checkAnswers(Buffer.from(text), { ...BASE, pipelined });

  test('that are right', () => {
    check(`${head}hello`);
    check(`${head}hello${head}hello`, 2);
  });

  test.each([
    ['with another status', `${head}hello`.replace('200 OK', '201 Created'), /answer 1 has no/],
    ['without Date', `${head}hello`.replace('Date', 'Day'), /answer 1 has no .*Date/],
    ['of another length', `${head}hello`.replace(': 5', ': 4'), /answer 1 has no .*Length: 5/],
    ['with too much', `${head}hello!`, '1 bytes too many'],
    ['cut short', `${head}hell`, 'answer 1 has another body'],
  ])('%s', (_title, text, message) => {
    expect(() => check(text)).toThrow(message);
  });

  test('of which the second is wrong', () => {
    expect(() => check(`${head}hello${head}HELLO`, 2)).toThrow('answer 2 has another body');
  });
});

describe('the baseline', () => {
  const baseline: Baseline = { node: 'v20.19.0', date: '2026-01-01', ratios: { a: 1.2, b: 2 } };

  test('is kept up to one and a half times', () => {
    const ratios = new Map([
      ['a', 1.79],
      ['b', 1],
      ['new', 100],
    ]);
    expect(() => checkRatios(ratios, baseline)).not.toThrow();
  });

  test('names the cases that are slower', () => {
    const ratios = new Map([
      ['a', 1.2],
      ['b', 3.01],
    ]);
    expect(() => checkRatios(ratios, baseline)).toThrow('over 1.5 times the baseline: b');
  });

  test('has every case', () => {
    const file = new URL('../../bench/guard.json', import.meta.url);
    const { ratios } = JSON.parse(readFileSync(file, 'utf8')) as Baseline;
    expect(Object.keys(ratios)).toEqual(makeCases().map(({ name }) => name));
  });
});
