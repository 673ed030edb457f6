import { BenchError } from './processes.ts';
import {
  comparisonPart,
  idlePart,
  latencyPart,
  machineLines,
  type Part,
  serversTable,
} from './report.ts';
import type { Results } from './results.ts';

/** A place in a page, between two comments: `<!-- bench NAME -->` and `<!-- end -->`. */
const PLACE = /(<!-- bench (\w+) -->\n)[\s\S]*?(<!-- end -->)/g;

function sections(parts: readonly Part[]): string {
  return parts.map(({ title, text }) => `### ${capital(title)}\n\n${text}`).join('\n\n');
}

function capital(title: string): string {
  return title.slice(0, 1).toUpperCase() + title.slice(1);
}

function left({ failures }: Results): string {
  if (failures.length === 0) return 'Nobody was left out.';
  return failures
    .map(({ server, load, reason }) => `- ${server} of ${load}: ${reason.replaceAll(/\s+/g, ' ')}`)
    .join('\n');
}

/** What can be in a page, by the name of its place. */
const CONTENTS: Readonly<Record<string, (results: Results) => string>> = {
  machine: (results) => `${machineLines(results).join(', ')}.`,
  rounds: ({ settings }) =>
    `Interleaved rounds: ${settings.rounds}. Each measurement: ${settings.seconds} s.`,
  servers: serversTable,
  comparisons: ({ comparisons }) => sections(comparisons.map(comparisonPart)),
  latency: ({ latencies }) => sections(latencies.map(latencyPart)),
  idle: ({ idle }) => (idle === null ? 'Not measured.' : idlePart(idle).text),
  left,
};

/** A page of Markdown with what the results say in its places. */
export function fillPage(page: string, results: Results): string {
  return page.replaceAll(PLACE, (_, begin: string, name: string, end: string) => {
    const content = CONTENTS[name];
    if (content) return `${begin}\n${content(results)}\n\n${end}`;
    throw new BenchError(`no place ${name}: there are ${Object.keys(CONTENTS).join(', ')}`);
  });
}
