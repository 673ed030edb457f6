import { createHash } from 'node:crypto';
import { escapeHTML, htmlPage, pageStyle } from '../http/page.ts';
import { type Folder, type FolderEntry, MOST_ENTRIES } from './folder.ts';
import { encodeName } from './paths.ts';

// A row is as high as a fingertip (44 pixels). On a narrow screen size and time go below the name,
// and all of the row is the link.
const STYLE = pageStyle(`
table{width:100%;border-collapse:collapse}
th{padding:.25rem 0;text-align:left;font-size:.875rem;font-weight:600;color:var(--soft)}
tr{border-bottom:1px solid var(--line)}
td{padding:0;vertical-align:top}
td+td,th+th{padding-left:1.5rem;text-align:right;white-space:nowrap}
td+td{padding-top:.625rem;color:var(--soft);font-variant-numeric:tabular-nums}
a{display:block;padding:.625rem 0;color:var(--link);text-decoration:none;overflow-wrap:anywhere}
a:hover{text-decoration:underline}
.folder a{font-weight:600}
table+p{margin-top:1rem}
@media(max-width:40rem){
thead{position:absolute;clip-path:inset(50%)}
tr{display:flex;flex-wrap:wrap;position:relative;padding-bottom:.5rem}
td:first-child{flex:0 0 100%}
a{padding-bottom:.125rem}
a::after{content:'';position:absolute;inset:0}
td+td{padding:0 1rem 0 0;font-size:.875rem}
td:empty{display:none}
.folder td+td{display:none}
}
`);

/** The field Content-Security-Policy for a listing: nothing but its own style is let in. */
export const LISTING_POLICY: string = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** `a2` before `a10`, and letters without regard to case or accents first; the same everywhere. */
const collator = new Intl.Collator('en', { numeric: true });

interface Row {
  readonly entry: FolderEntry;
  readonly text: string;
}

/**
 * The HTML page that lists a folder, at an address that ends with a slash.
 *
 * @param path of that address, decoded, as a byte string: the heading
 * @param hasParent whether there is a folder above to lead to
 */
export function listingPage(path: string, folder: Folder, hasParent: boolean): Buffer {
  const title = `Index of ${shown(path)}`;
  const rows = folder.entries.map((entry) => ({ entry, text: shown(entry.name) }));
  const content = [
    `<h1>${escapeHTML(title)}</h1>`,
    '<table>',
    '<thead><tr><th scope="col">Name</th><th scope="col">Size</th>' +
      '<th scope="col">Modified (UTC)</th></tr></thead>',
    '<tbody>',
    ...(hasParent ? [markup('../', 'Parent folder', '', '')] : []),
    ...rows.sort(compare).map(describe),
    '</tbody>',
    '</table>',
    ...(rows.length === 0 ? ['<p>This folder is empty.</p>'] : []),
    ...(folder.isCut
      ? [`<p>There are more entries than ${MOST_ENTRIES}: only some are shown.</p>`]
      : []),
  ];
  return htmlPage(title, STYLE, content.join('\n'));
}

/** Folders first, as file managers have it: whoever looks for a way on need not read the files. */
function compare(a: Row, b: Row): number {
  if (a.entry.isFolder !== b.entry.isFolder) return a.entry.isFolder ? -1 : 1;
  const order = collator.compare(a.text, b.text);
  if (order !== 0) return order;
  return a.entry.name < b.entry.name ? -1 : 1;
}

/** Characters that show nothing, or change how those about them are shown. */
const INVISIBLE = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/gu;

/** A byte string as text; U+FFFD stands for what is not UTF-8 or cannot be seen. */
function shown(name: string): string {
  return Buffer.from(name, 'latin1').toString().replace(INVISIBLE, '\ufffd');
}

function describe({ entry, text }: Row): string {
  // The dot keeps a name such as `javascript:x` from being taken for a scheme.
  const address = `./${encodeName(entry.name)}`;
  const time = formatTime(entry.modified);
  if (entry.isFolder) return markup(`${address}/`, `${text}/`, '', time);
  return markup(address, text, formatSize(entry.size), time);
}

function markup(address: string, text: string, size: string, time: string): string {
  const row = address.endsWith('/') ? '<tr class="folder">' : '<tr>';
  const link = `<a href="${address}"><bdi>${escapeHTML(text)}</bdi></a>`;
  return `${row}<td>${link}</td><td>${size}</td><td>${time}</td></tr>`;
}

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** With two digits at least above 1023 bytes, so that it is off by less than a twentieth. */
function formatSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let size = bytes / 1024;
  let unit = 0;
  while (size >= 1023.5 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size < 9.95 ? size.toFixed(1) : size.toFixed(0)} ${UNITS[unit]}`;
}

/** The last moment with a year of four digits. */
const LAST_TIME = Date.UTC(9999, 11, 31, 23, 59);

function formatTime(milliseconds: number): string {
  if (!(milliseconds >= 0 && milliseconds <= LAST_TIME)) return '';
  return new Date(milliseconds).toISOString().slice(0, 16).replace('T', ' ');
}
