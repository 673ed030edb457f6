import type { Spread } from './statistics.ts';
import { element, escapeXML, text } from './svg.ts';

export interface Bar {
  readonly name: string;
  readonly over: Spread;
  /** Ours are set apart by colour and weight. */
  readonly ours: boolean;
}

/** One workload: a bar for each server. Lengths are pixels. */
export interface Panel {
  readonly title: string;
  /** What the costs are divided by. */
  readonly note: string;
  readonly bars: readonly Bar[];
}

export const PANEL_WIDTH = 416;

const NAME_WIDTH = 156;
const NUMBER_WIDTH = 48;
const GAP = 8;
const SCALE_WIDTH: number = PANEL_WIDTH - NAME_WIDTH - NUMBER_WIDTH - 2 * GAP;
const SCALE_LEFT: number = NAME_WIDTH + GAP;
const ROW = 20;
const BAR = 12;
const HEAD = 44;
const AXIS = 22;
/** How far a whisker's ends reach to either side of it. */
const CAP = 3;
/** The mark of a bar that is cut. */
const CUT = { before: 12, width: 5 };
/** So many letters fit into the place of a name, be they wide ones in bold. */
const NAME_LETTERS = 20;

/** Where a scale may end. */
const LIMITS = [1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40, 60, 100];
/** How often the shortest bar has to fit into the scale, so that its length can be seen. */
const ROOM = 2.5;

export function panelHeight({ bars }: Panel): number {
  return HEAD + bars.length * ROW + AXIS;
}

/** The end of the scale: all bars and whiskers, or what keeps the shortest from vanishing. */
function scaleEnd(bars: readonly Bar[]): number {
  const longest = Math.max(...bars.map(({ over }) => over.max));
  const enough = Math.min(...bars.map(({ over }) => over.median)) * ROOM;
  const wanted = Math.min(longest, Math.max(enough, 2));
  return LIMITS.find((limit) => limit >= wanted) ?? Math.ceil(wanted);
}

function tickStep(end: number): number {
  if (end <= 2) return 0.5;
  return end <= 6 ? 1 : Math.ceil(end / 5);
}

function axis(end: number, bottom: number): string {
  const step = tickStep(end);
  const ticks = Array.from({ length: Math.floor(end / step) + 1 }, (_, index) => index * step);
  return ticks
    .map((tick) => {
      const x = SCALE_LEFT + (tick / end) * SCALE_WIDTH;
      const line = element('line', { class: 'grid', x1: x, x2: x, y1: HEAD, y2: bottom });
      return line + text(x, bottom + 15, String(tick), 'tick');
    })
    .join('');
}

/** Two digits after the point, of large numbers fewer. */
function label(value: number): string {
  if (value >= 100) return String(Math.round(value));
  return value.toFixed(value < 9.995 ? 2 : 1);
}

function shorten(name: string): string {
  return name.length <= NAME_LETTERS ? name : `${name.slice(0, NAME_LETTERS - 1)}…`;
}

/** From the least to the largest, as far as the scale goes. */
function whisker(from: number, to: number, y: number): string {
  const ends = [from, to].map((x) => `M${x.toFixed(1)} ${y - CAP}v${2 * CAP}`).join('');
  const d = `M${from.toFixed(1)} ${y}H${to.toFixed(1)}${ends}`;
  return element('path', { class: 'whisker', d });
}

/** A gap across the bar, which says that it is longer. */
function cutMark(y: number): string {
  const x = SCALE_LEFT + SCALE_WIDTH - CUT.before;
  const d = `M${x} ${y + BAR / 2 + 1}l${CUT.width} ${-BAR - 2}h4l${-CUT.width} ${BAR + 2}z`;
  return element('path', { class: 'cut', d });
}

function drawBar({ name, over, ours }: Bar, end: number, row: number): string {
  const y = HEAD + row * ROW + ROW / 2;
  const at = (value: number): number => SCALE_LEFT + (Math.min(value, end) / end) * SCALE_WIDTH;
  const right = at(over.median);
  const cut = over.median > end;
  const shape = { x: SCALE_LEFT, y: y - BAR / 2, width: right - SCALE_LEFT, height: BAR, rx: 1 };
  const values = `${label(over.median)} (${label(over.min)} to ${label(over.max)})`;
  const parts = [
    element('title', {}, escapeXML(`${name}: ${values}`)),
    text(NAME_WIDTH, y + 4.5, shorten(name), 'name'),
    element('rect', { class: 'bar', ...shape }),
    cut ? cutMark(y) : whisker(at(over.min), at(over.max), y),
    text((cut ? right : at(over.max)) + 6, y + 4.5, label(over.median), 'number'),
  ];
  return element('g', { class: ours ? 'row ours' : 'row' }, parts.join(''));
}

/** A panel with its upper left corner at a point. */
export function drawPanel(panel: Panel, x: number, y: number): string {
  const { title, note, bars } = panel;
  const end = scaleEnd(bars);
  const bottom = HEAD + bars.length * ROW;
  const one = SCALE_LEFT + SCALE_WIDTH / end;
  const parts = [
    text(0, 15, title, 'panel'),
    text(0, 33, note, 'muted'),
    axis(end, bottom),
    ...bars.map((bar, row) => drawBar(bar, end, row)),
    element('line', { class: 'one', x1: one, x2: one, y1: HEAD - 2, y2: bottom + 3 }),
  ];
  return element('g', { transform: `translate(${x} ${y})` }, parts.join('\n'));
}
