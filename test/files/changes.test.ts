import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { Random, randomSeed } from '../fuzz/random.ts';
import { backends, describeBackends } from '../support/backends.ts';
import {
  type Answer,
  BREAKING,
  changeOnce,
  outcomeOf,
  type Progress,
  progressOf,
  type Scene,
} from '../support/filechanges.ts';
import { type FileServer, type FileServerSettings, fileServers } from '../support/fileservers.ts';

/** So many files change at a time. */
const AT_ONCE = 8;

const folder = mkdtempSync(join(tmpdir(), 'ryegate-changes-'));
const seed = randomSeed();
console.log(`seed ${seed}`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome extends Answer {
  progress: Progress;
  outcome: string;
}

/** Has so many files changed while they are sent; so many descriptors may be `kept` then. */
async function changeFiles(scene: Scene, files: number, kept = 0): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const before = (await scene.server.state()).descriptors;
  const work = async (worker: number): Promise<void> => {
    const random = new Random(seed + worker);
    for (let file = worker; file < files; file += AT_ONCE) {
      const { answers, state } = await changeOnce(scene, random);
      for (const answer of answers) {
        const progress = progressOf(answer.id, state);
        outcomes.push({ ...answer, progress, outcome: outcomeOf(answer) });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, worker) => work(worker)));
  await expectDescriptors(scene.server, before + kept);
  return outcomes;
}

async function expectDescriptors(server: FileServer, most: number): Promise<void> {
  let { descriptors } = await server.state();
  for (let i = 0; i < 100 && descriptors > most; i++) {
    // That on which it was asked before may be open still.
    await sleep(10);
    ({ descriptors } = await server.state());
  }
  expect(descriptors).toBeLessThanOrEqual(most);
}

/** Prints how often what became of responses. */
function show(title: string, outcomes: readonly Outcome[]): void {
  const tally: Record<string, number> = {};
  for (const { change, progress, outcome } of outcomes) {
    const line = `${change}, ${progress}: ${outcome}`;
    tally[line] = (tally[line] ?? 0) + 1;
  }
  const lines = Object.entries(tally).map(([line, count]) => `  ${line}: ${count}`);
  console.log([title, ...lines.sort()].join('\n'));
}

/**
 * A response that had begun has been whole, or was aborted. What a file held that was changed before
 * it was opened, and what the kernel had been given before the change, are not the server's to tell.
 */
function expectNoMix(outcomes: readonly Outcome[]): void {
  for (const { change, progress, outcome } of outcomes) {
    if (progress !== 'open') continue;
    const expected = change in BREAKING ? 'aborted' : 'whole';
    expect(outcome, `the file was ${change} while it was sent`).toBe(expected);
  }
}

/** No two versions of a file go by one entity tag. */
function expectOwnTags(outcomes: readonly Outcome[]): void {
  const versions = new Map<string, number>();
  for (const { etag, versions: pair, outcome, bytes } of outcomes) {
    if (outcome !== 'whole' || bytes.length < 8) continue;
    expect(etag).toMatch(/^"[^"]+"$/);
    const version = bytes.readUInt32LE(4);
    const key = `${pair[0]} ${etag}`;
    expect(versions.get(key) ?? version, `the version of ${etag}`).toBe(version);
    versions.set(key, version);
  }
}

const WAYS: [
  title: string,
  smallBuffers: boolean,
  settings: Partial<FileServerSettings>,
  files: number,
][] = [
  ['by sendfile', true, {}, 300],
  ['by sendfile, into large buffers', false, {}, 160],
  ['read and sent', true, { options: { sendfile: false } }, 120],
  ['iterated', true, { iterate: true }, 120],
];

describeBackends('files that change while they are sent', (selector) => {
  const serve = fileServers();
  // The backends differ in when they send, not in what.
  const share = selector === backends()[0] ? 1 : 0.1;

  function start(
    smallBuffers: boolean,
    settings: Partial<FileServerSettings> = {},
  ): Promise<FileServer> {
    const options = { selector, ...settings.options };
    return serve({ root: folder, smallBuffers, ...settings, options });
  }

  it.each(WAYS)('%s', { timeout: 60_000 }, async (title, smallBuffers, settings, files) => {
    const server = await start(smallBuffers, settings);
    const scene = { folder, server, changer: server, page: 'file' };
    const outcomes = await changeFiles(scene, share * files);
    show(`${selector}, ${title}`, outcomes);
    expectNoMix(outcomes);
  });

  // The order of what two processes do is not known, so that a mix cannot be told from one that
  // came about in the socket.
  it.each([true, false])('by another process (small buffers: %s)', async (smallBuffers) => {
    const [server, changer] = [await start(smallBuffers), await start(false)];
    const outcomes = await changeFiles({ folder, server, changer, page: 'file' }, share * 120);
    show(`${selector}, by another process`, outcomes);
  });

  it.each([1, 0])('by the static application (revalidate: %i s)', async (revalidate) => {
    const entries = 10;
    const server = await start(true, { cache: { revalidate, entries } });
    const scene = { folder, server, changer: server, page: 'static' };
    const outcomes = await changeFiles(scene, share * 120, entries);
    show(`${selector}, by the static application`, outcomes);
    expectNoMix(outcomes);
    expectOwnTags(outcomes);
  });
});
