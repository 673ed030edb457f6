import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backends, describeBackends } from '../support/backends.ts';
import type { Case } from './casefile.ts';
import { isRefused, loadCorpus } from './corpus.ts';
import { byteByByte, isDecided, isShort, splits, whole } from './plans.ts';
import { Suite } from './suite.ts';

const corpus = loadCorpus();
const KINDS = ['TCP', 'a unix socket'] as const;
const folder = mkdtempSync(join(tmpdir(), 'ryegate-corpus-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the corpus', () => {
  it('has enough cases, and no two alike', () => {
    const refused = corpus.filter(isRefused);
    console.log(`${corpus.length} cases, ${refused.length} of them refusals`);
    expect(corpus.length).toBeGreaterThanOrEqual(300);
    expect(refused.length).toBeGreaterThanOrEqual(160);
    const seen = new Map<string, string>();
    for (const { name, bytes, limits } of corpus) {
      const key = JSON.stringify([bytes.toString('latin1'), limits]);
      expect(seen.get(key), `the same as ${name}`).toBeUndefined();
      seen.set(key, name);
    }
  });

  it('gives each case a reason of its own', () => {
    const reasons = corpus.map(({ reason }) => reason);
    expect(reasons.filter((reason, index) => reasons.indexOf(reason) !== index)).toEqual([]);
  });
});

describeBackends('the corpus', (selector) => {
  describe.each(KINDS)('by %s', (kind) => {
    const place = kind === 'TCP' ? null : folder;
    let streaming: Suite;
    let buffering: Suite;

    beforeAll(() => {
      streaming = new Suite(corpus, { selector, inputBuffering: 'stream' }, place);
      buffering = new Suite(corpus, { selector, inputBuffering: 'buffer' }, place);
    });

    afterAll(async () => {
      await Promise.all([streaming.close(), buffering.close()]);
    });

    it('unsplit', async () => {
      const plans = corpus.map((item) => whole(item));
      expect(await streaming.perform(plans)).toEqual([]);
    });

    it('behind a valid request', async () => {
      const plans = corpus.map((item) => whole(item, { before: true }));
      expect(await streaming.perform(plans)).toEqual([]);
    });

    it('before a valid request, which is run only where the connection goes on', async () => {
      const plans = corpus.filter(isDecided).map((item) => whole(item, { after: true }));
      expect(await streaming.perform(plans)).toEqual([]);
    });

    it('one byte per segment, before a valid request', async () => {
      expect(await streaming.perform(corpus.map(byteByByte))).toEqual([]);
    });

    // Every offset once over all suites: every one in each of them would take minutes.
    it('in two segments, parted at every offset', async () => {
      const suites = backends().flatMap((name) => KINDS.map((one) => `${name} ${one}`));
      const part = suites.indexOf(`${selector} ${kind}`);
      const plans = corpus.filter(isShort).flatMap((item) => splits(item, part, suites.length));
      expect(await streaming.perform(plans)).toEqual([]);
    });

    it('with buffered bodies, unsplit and one byte per segment', async () => {
      const cases = corpus.filter(isSameBuffered);
      const plans = cases.flatMap((item) => [whole(item, { after: true }), byteByByte(item)]);
      expect(await buffering.perform(plans)).toEqual([]);
    });
  });
});

/** Whether the outcome does not depend on when the application gets the body. */
function isSameBuffered({ expected }: Case): boolean {
  return expected.every(
    (one) =>
      one.kind === 'refusal' ||
      one.kind === 'closed' ||
      (one.kind === 'run' && one.run.path !== '/unread'),
  );
}
