import { expect, it } from 'vitest';
import { Progress } from '../../bench/harness/progress.ts';

class Screen {
  readonly isTTY: boolean;
  readonly columns = 40;
  text = '';

  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }

  write(text: string): void {
    this.text += text;
  }

  /** What is on the line. */
  get line(): string {
    return this.text.slice(this.text.lastIndexOf('\r\x1b[K') + 4);
  }
}

it('says what is done, and by the pace so far how long it will take', () => {
  const screen = new Screen(true);
  let now = 1e6;
  const progress = new Progress(screen, () => now);
  progress.plan(100);
  progress.plan(100);
  progress.step('one', 20);
  expect(screen.line).toBe('0 % one, 3 min left');
  now += 40_000;
  progress.step('two', 80);
  expect(screen.line).toBe('10 % two, 6 min left');
  now += 60_000;
  progress.step('three', 100);
  expect(screen.line).toBe('50 % three, 2 min left');
  progress.step('a step with a name that is too long for the line', 1);
  expect(screen.line).toHaveLength(39);
  progress.clear();
  expect(screen.line).toBe('');
});

it('says nothing where there is no terminal', () => {
  const screen = new Screen(false);
  const progress = new Progress(screen);
  progress.plan(10);
  progress.step('one', 5);
  progress.clear();
  expect(screen.text).toBe('');
});
