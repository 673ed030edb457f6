import { createHash } from 'node:crypto';
import { isInstance } from '../../errors.ts';
import { escapeHTML, htmlPage, pageStyle } from '../../http/page.ts';
import { formatException } from '../../socketserver/formatexception.ts';
import type { Place } from '../../wsgi/syntaxerror.ts';
import type { Environ } from '../../wsgi/types.ts';
import { excerpt, type Frame, framesOf, showPlace, sourceLines } from './stack.ts';

const STYLE = pageStyle(`
h1 small{display:block;font-size:1rem;font-weight:400;color:var(--soft)}
h1{white-space:pre-wrap}
h2{margin:1.5rem 0 .25rem;font-size:1rem;overflow-wrap:anywhere}
pre,code,td,li{font:13px/1.6 ui-monospace,monospace}
pre{margin:0;padding:.5rem 0;border:1px solid var(--line);border-radius:.25rem;overflow-x:auto}
pre span{display:block;padding:0 .75rem;min-width:max-content}
pre i{display:inline-block;width:3.5em;color:var(--soft);font-style:normal;user-select:none}
.it{background:#c6282822;box-shadow:inset 3px 0 #c62828}
details{margin:1rem 0;color:var(--soft)}
li{overflow-wrap:anywhere}
table{border-collapse:collapse}
td{padding:.125rem 1rem .125rem 0;vertical-align:top;overflow-wrap:anywhere}
td:first-child{color:var(--soft);white-space:nowrap}
footer{margin-top:2rem;color:var(--soft);font-size:.875rem}
`);

/** Nothing but its own style is let in, and nobody frames it. */
const POLICY: string = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Fields of the request whose values are nobody's business, even here. */
const SECRET = /^(proxy-)?authorization$|cookie|token|secret|password|api-?key/i;
/** Errors that were the cause of one another, at most. */
const MOST_CAUSES = 5;

export interface ErrorReport {
  readonly error: unknown;
  /** What happened, in place of the error's name and message. */
  readonly title?: string | undefined;
  /** Where, when the stack does not tell. */
  readonly place?: Place | null;
  /** The request line. */
  readonly request?: string;
  readonly fields?: readonly (readonly [name: string, value: string])[];
  /** What to expect. */
  readonly hint?: string;
}

export interface ErrorAnswer {
  readonly headers: [name: string, value: string][];
  readonly body: string;
}

/** A page for browsers, and text for whoever does not ask for HTML. */
export function errorAnswer(report: ErrorReport, environ: Environ | null): ErrorAnswer {
  const wantsHTML = /\btext\/html\b/i.test(String(environ?.HTTP_ACCEPT ?? ''));
  const headers: [string, string][] = [
    ['Content-Type', `text/${wantsHTML ? 'html' : 'plain'}; charset=utf-8`],
    ['Content-Security-Policy', POLICY],
    ['X-Content-Type-Options', 'nosniff'],
    ['Cache-Control', 'no-store'],
  ];
  return { headers, body: wantsHTML ? page(report) : plainText(report) };
}

/** For terminals. */
export function plainText(report: ErrorReport): string {
  const { error, title, request, hint } = report;
  const place = placeOf(report);
  const parts = [
    request ?? '',
    title ?? formatException(error),
    place === null ? '' : excerpt(place),
    // Of the title alone the reader could not tell how it came about.
    title === undefined || report.place ? '' : ownFrames(error).slice(1).join('\n'),
    hint ?? '',
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function placeOf({ error, place }: ErrorReport): Place | null {
  return place ?? framesOf(error).find(({ own }) => own !== null)?.own ?? null;
}

function ownFrames(error: unknown): string[] {
  return framesOf(error)
    .filter(({ own }) => own !== null)
    .map(({ text }) => `  at ${text}`);
}

function page(report: ErrorReport): string {
  const { error, title, place, request, fields = [], hint } = report;
  const heading = title ?? nameAndMessage(error);
  const content = [
    `<h1>${request === undefined ? '' : `<small>${escapeHTML(request)}</small>`}` +
      `${escapeHTML(heading)}</h1>`,
    ...(hint === undefined ? [] : [`<p>${escapeHTML(hint)}</p>`]),
    ...(place ? [source(place, '')] : stack(error)),
    ...causesOf(error).flatMap((cause) => [
      `<h1><small>caused by</small>${escapeHTML(nameAndMessage(cause))}</h1>`,
      ...stack(cause),
    ]),
    ...(fields.length === 0 ? [] : ['<h2>Header fields of the request</h2>', fieldTable(fields)]),
    '<footer>Ryegate shows this because it runs for development.</footer>',
  ];
  return htmlPage(heading.split('\n')[0] as string, STYLE, content.join('\n')).toString();
}

function nameAndMessage(error: unknown): string {
  if (!isInstance(error, Error)) return `thrown: ${formatException(error)}`;
  return error.message === '' ? error.name : `${error.name}: ${error.message}`;
}

function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = [];
  let next = error;
  while (isInstance(next, Error) && next.cause !== undefined && causes.length < MOST_CAUSES) {
    next = next.cause;
    causes.push(next);
  }
  return causes;
}

/** The application's frames with their sources, and between them the others, folded. */
function stack(error: unknown): string[] {
  const parts: string[] = [];
  let others: Frame[] = [];
  const fold = (): void => {
    if (others.length > 0) parts.push(folded(others));
    others = [];
  };
  for (const frame of framesOf(error)) {
    if (frame.own === null) {
      others.push(frame);
      continue;
    }
    fold();
    parts.push(source(frame.own, frame.name));
  }
  fold();
  return parts;
}

function folded(frames: readonly Frame[]): string {
  const summary = `${frames.length} frames of packages, Node and the server`;
  const items = frames.map(({ text }) => `<li>${escapeHTML(text)}</li>`).join('');
  return `<details><summary>${summary}</summary><ul>${items}</ul></details>`;
}

function source(place: Place, name: string): string {
  const lines = sourceLines(place).map(({ line, text, isIt }) => {
    return `<span${isIt ? ' class="it"' : ''}><i>${line}</i>${escapeHTML(text) || ' '}</span>`;
  });
  const where = escapeHTML(showPlace(place));
  const heading = `<h2>${where}${name === '' ? '' : ` in ${escapeHTML(name)}`}</h2>`;
  return lines.length === 0 ? heading : `${heading}\n<pre>${lines.join('')}</pre>`;
}

function fieldTable(fields: readonly (readonly [string, string])[]): string {
  const rows = fields.map(([name, value]) => {
    const shown = SECRET.test(name) ? '(hidden)' : value;
    return `<tr><td>${escapeHTML(name)}</td><td>${escapeHTML(shown)}</td></tr>`;
  });
  return `<table>${rows.join('')}</table>`;
}
