import { DIFFERENCES, UNDERSCORES, withoutUnderscores } from './differences.ts';
import type { Outcome, SeenRequest } from './outcome.ts';
import { textFrom } from './parse.ts';
import type { Step } from './place.ts';

export interface Comparison {
  /** The names of the differences that were found and explained. */
  readonly used: string[];
  /** The number of the first request that nothing explains, or -1. */
  readonly unexplained: number;
}

/** Compares request by request, up to the first that parts the two or ends the streams. */
export function compare(bytes: Buffer, ours: Outcome, theirs: Outcome): Comparison {
  const used: string[] = [];
  for (let index = 0; ; index++) {
    const mine = stepAt(ours, index);
    const full = stepAt(theirs, index);
    const other = withoutUnderscores(full);
    if (!sameStep(mine, other)) {
      const earlier = theirs.requests.slice(0, index);
      const before = earlier.at(-1);
      const place = { mine, other, text: textFrom(bytes, index), before, earlier };
      const found = DIFFERENCES.find(({ explains }) => explains(place));
      if (found === undefined) return { used, unexplained: index };
      return { used: [...used, found.name], unexplained: -1 };
    }
    if (mine.kind !== 'run') return { used, unexplained: -1 };
    if (other !== full) used.push(UNDERSCORES);
  }
}

function stepAt(outcome: Outcome, index: number): Step {
  const request = outcome.requests[index];
  if (request !== undefined) return { kind: 'run', request, code: outcome.code };
  return { kind: outcome.ending, code: outcome.code };
}

function sameStep(mine: Step, other: Step): boolean {
  if (mine.kind !== 'run' || other.kind !== 'run') return mine.kind === other.kind;
  return sameHead(mine.request, other.request) && sameBody(mine.request, other.request);
}

function sameHead(mine: SeenRequest, other: SeenRequest): boolean {
  return (
    mine.method === other.method &&
    mine.target === other.target &&
    mine.version === other.version &&
    sameTexts(mine.fields, other.fields)
  );
}

/** What comes of a body that is not complete depends on when the parser gives up. */
function sameBody(mine: SeenRequest, other: SeenRequest): boolean {
  if (mine.bodyEnd !== other.bodyEnd) return false;
  if (mine.bodyEnd !== 'complete') return true;
  return mine.body === other.body && sameTexts(mine.trailers, other.trailers);
}

function sameTexts(mine: readonly string[], other: readonly string[]): boolean {
  return mine.length === other.length && mine.every((text, index) => text === other[index]);
}
