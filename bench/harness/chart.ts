import { drawPanel, PANEL_WIDTH, type Panel, panelHeight } from './chartpanel.ts';
import { machineLines, ranked } from './report.ts';
import { baseOf, type Comparison, FLOOR, isOurs, type Results } from './results.ts';
import { element, escapeXML, text } from './svg.ts';

/** Pixels. */
const MARGIN = 20;
const BETWEEN = 28;
const TOP = 132;
const BELOW = 24;

const LIGHT = `--back: #ffffff; --text: #1f2328; --muted: #59636e; --grid: #d1d9e0;
  --other: #9aa5b1; --ours: #0969da; --one: #cf222e;`;
const DARK = `--back: #0d1117; --text: #f0f6fc; --muted: #9198a1; --grid: #30363d;
  --other: #5f6b78; --ours: #4493f8; --one: #ff7b72;`;

const STYLE = `
svg { ${LIGHT} }
@media (prefers-color-scheme: dark) { svg { ${DARK} } }
text { font: 13px system-ui, "Segoe UI", "Helvetica Neue", "Liberation Sans", Arial, sans-serif;
  fill: var(--text); }
.back { fill: var(--back); }
.heading { font-size: 18px; font-weight: 600; }
.panel { font-size: 14px; font-weight: 600; }
.muted { font-size: 12px; fill: var(--muted); }
.tick { font-size: 12px; fill: var(--muted); text-anchor: middle; }
.name { text-anchor: end; }
.number { paint-order: stroke; stroke: var(--back); stroke-width: 3px; }
.grid { stroke: var(--grid); }
.one { stroke: var(--one); stroke-width: 1.5; }
.bar { fill: var(--other); }
.ours .bar { fill: var(--ours); }
.ours text { font-weight: 700; }
.whisker { fill: none; stroke: var(--text); }
.cut { fill: var(--back); }
`;

function panelOf(comparison: Comparison): Panel {
  const base = baseOf(comparison);
  const bars = ranked(comparison)
    .filter(({ server }) => server !== FLOOR)
    .map(({ server, over }) => ({ name: server, over, ours: isOurs(server) }));
  const what = comparison.withLoad ? 'CPU time of server and load' : 'CPU time of the server';
  const note = `${what} per request, ${base === FLOOR ? 'floor' : base} = 1`;
  return { title: comparison.title, note, bars };
}

interface Placed {
  readonly panels: string;
  readonly height: number;
}

/** In two columns: each panel goes to the one that is shorter so far. */
function place(panels: readonly Panel[]): Placed {
  const heights = [TOP, TOP];
  const drawn = panels.map((panel) => {
    const column = heights[0] === undefined || heights[0] <= (heights[1] ?? 0) ? 0 : 1;
    const y = heights[column] as number;
    heights[column] = y + panelHeight(panel) + BELOW;
    return drawPanel(panel, MARGIN + column * (PANEL_WIDTH + BETWEEN), y);
  });
  return { panels: drawn.join('\n'), height: Math.max(...heights) - BELOW + MARGIN };
}

/** An SVG with a panel for each comparison, readable in light and in dark surroundings. */
export function drawChart(results: Results): string {
  const { panels, height } = place(results.comparisons.map(panelOf));
  const width = 2 * MARGIN + 2 * PANEL_WIDTH + BETWEEN;
  const title = 'What a request costs, as a multiple of what the kernel costs';
  const { rounds, seconds } = results.settings;
  const bars = `medians of ${rounds} interleaved rounds of ${seconds} s`;
  const legend = `Shorter is better. Bars: ${bars}; whiskers: least and largest.`;
  const floor =
    'The line at 1 is the floor: a C server that parses nothing and sends the same bytes.';
  const parts = [
    element('title', {}, escapeXML(title)),
    element('style', {}, STYLE),
    element('rect', { class: 'back', width, height, rx: 6 }),
    text(MARGIN, 34, title, 'heading'),
    ...[floor, legend, ...machineLines(results)].map((line, index) =>
      text(MARGIN, 56 + 17 * index, line, 'muted'),
    ),
    panels,
  ];
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: 'img',
  };
  return `${element('svg', attributes, `\n${parts.join('\n')}\n`)}\n`;
}
