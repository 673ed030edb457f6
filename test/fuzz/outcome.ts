/** A request that was run, as it reached the application. */
export interface SeenRequest {
  readonly method: string;
  readonly target: string;
  /** As `1.1`. */
  readonly version: string;
  /** Lower-case name, value, name, value ... in the order sent. */
  readonly fields: readonly string[];
  /** What came of the body, a character per byte. */
  body: string;
  trailers: readonly string[];
  bodyEnd: 'complete' | 'incomplete' | 'broken';
}

/** What a parser made of a stream of bytes. */
export interface Outcome {
  readonly requests: SeenRequest[];
  /**
   * - `waiting`: more is expected, of the last request or of another.
   * - `closed`: after the last request, as it or its answer demanded.
   * - `refused`: what followed, or the body of the last request, was broken.
   */
  ending: 'waiting' | 'closed' | 'refused';
  /** Why it was refused, in the parser's own words. */
  code: string;
}

export function newOutcome(): Outcome {
  return { requests: [], ending: 'waiting', code: '' };
}

/** A parser that is fed several streams at once. */
export interface Side {
  /** Opens so many streams. */
  begin(count: number): Promise<void>;
  /** Sends a piece of one of them. */
  feed(index: number, piece: Buffer): void;
  /** What came of them; they are over then. */
  finish(): Promise<Outcome[]>;
  close(): Promise<void>;
}

export function lowerCaseNames(fields: readonly string[]): string[] {
  return fields.map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text));
}
