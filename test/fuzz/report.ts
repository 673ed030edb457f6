import { DIFFERENCES, UNDERSCORES } from './differences.ts';
import type { FuzzCase } from './generator.ts';
import type { Outcome } from './outcome.ts';
import { textFrom } from './parse.ts';

/** After so many cases every difference of the list must have shown. */
export const LONG_RUN = 200_000;

/** What a run with one seed has found. */
export class Report {
  readonly seed: number;
  cases = 0;
  /** Cases of which both ran every request to its end, and those with a body among them. */
  accepted = 0;
  acceptedWithBody = 0;
  /** Cases that both were refusing when they ended. */
  refused = 0;
  /** Cases that both left waiting for the rest of a request. */
  incomplete = 0;
  /** How often each difference was found. */
  readonly used: Map<string, number> = new Map();
  /** What nothing explains. */
  readonly unexplained: string[] = [];

  constructor(seed: number) {
    this.seed = seed;
    for (const name of [...DIFFERENCES.map((difference) => difference.name), UNDERSCORES]) {
      this.used.set(name, 0);
    }
  }

  /** Counts a case. `used`: the differences found in it. */
  count({ bytes }: FuzzCase, ours: Outcome, theirs: Outcome, used: readonly string[]): void {
    this.cases++;
    for (const name of used) this.used.set(name, (this.used.get(name) ?? 0) + 1);
    if (ours.ending === 'refused' && theirs.ending === 'refused') this.refused++;
    if (ours.ending === 'refused' || theirs.ending === 'refused' || used.length > 0) return;
    if (isIncomplete(bytes, ours)) this.incomplete++;
    else {
      this.accepted++;
      if (ours.requests.some(({ body }) => body !== '')) this.acceptedWithBody++;
    }
  }

  /** The differences that were never found. */
  get unused(): string[] {
    return [...this.used].filter(([, count]) => count === 0).map(([name]) => name);
  }

  toString(): string {
    const share = (count: number): string =>
      `${count} (${((100 * count) / this.cases).toFixed(1)} %)`;
    const differences = [...this.used].map(
      ([name, count]) => `  ${String(count).padStart(7)}  ${name}`,
    );
    return [
      `differential fuzz: ${this.cases} cases with seed ${this.seed}`,
      `  accepted by both to the end, without a difference: ${share(this.accepted)}, ` +
        `with a body: ${share(this.acceptedWithBody)}`,
      `  refused by both: ${share(this.refused)}, incomplete: ${share(this.incomplete)}`,
      'differences from node:http that are explained:',
      ...differences,
      `unexplained: ${this.unexplained.length}`,
    ].join('\n');
  }
}

/** Whether bytes of a request have come, but not all. */
function isIncomplete(bytes: Buffer, { requests, ending }: Outcome): boolean {
  if (ending !== 'waiting') return false;
  return requests.at(-1)?.bodyEnd === 'incomplete' || textFrom(bytes, requests.length) !== '';
}

/** Everything there is to know of a case, and how to run it alone. */
export function describeCase(
  seed: number,
  { number, bytes, ends }: FuzzCase,
  ours: Outcome,
  theirs: Outcome,
): string {
  return [
    `case ${number} (npm run fuzz -- --seed ${seed} --case ${number})`,
    `  bytes   ${shown(bytes.toString('latin1'))}`,
    `  ends    ${ends.join(' ')}`,
    ...describeOutcome('ryegate', ours),
    ...describeOutcome('node   ', theirs),
  ].join('\n');
}

function describeOutcome(name: string, { requests, ending, code }: Outcome): string[] {
  const lines = requests.map((request) => `    ${shown(request)}`);
  return [`  ${name} ${requests.length} requests, then ${ending} ${code}`, ...lines];
}

/** As a literal of JavaScript in ASCII. */
function shown(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\x7f-\xff]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16)}`,
  );
}
