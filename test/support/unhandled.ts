import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect } from 'vitest';

/** No promise of the tests that follow may be rejected without anybody noticing. */
export function expectNoUnhandledRejections(): void {
  const unhandled: unknown[] = [];
  const note = (error: unknown): number => unhandled.push(error);
  beforeEach(() => {
    process.on('unhandledRejection', note);
  });
  afterEach(async () => {
    // They are told of when the job in which they came about is over.
    await sleep(1);
    process.off('unhandledRejection', note);
    expect(unhandled.splice(0)).toEqual([]);
  });
}
