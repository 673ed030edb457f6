/** A chunked body that is complete. */
export interface Decoded {
  readonly body: string;
  /** Lower-case name, value, name, value ... */
  readonly trailers: readonly string[];
  /** Bytes that it takes. */
  readonly size: number;
}

/** What RFC 9110 section 6.5.1 keeps out of trailers. */
export const FORBIDDEN_NAMES: ReadonlySet<string> = new Set([
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'range',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const TOKEN = "[\\w!#$%&'*+.^`|~-]+";
const QUOTED = String.raw`"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"`;
const EXTENSION = `[ \\t]*;[ \\t]*${TOKEN}(?:[ \\t]*=[ \\t]*(?:${TOKEN}|${QUOTED}))?`;
const SIZE_LINE = new RegExp(`([0-9a-f]{1,16})(?:${EXTENSION})*\\r\\n`, 'iy');
const TRAILER_LINE = /([\w!#$%&'*+.^`|~-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*\r\n/y;

/**
 * Decodes a whole chunked body the plain way, by the grammar of RFC 9112 section 7.1; null when it
 * is broken or its end is missing. Fields with an underscore are left out of the trailers.
 */
export function decodeChunked(text: string): Decoded | null {
  let body = '';
  let at = 0;
  for (let size = -1; size !== 0; ) {
    const line = matchAt(SIZE_LINE, text, at);
    if (line === null) return null;
    size = Number.parseInt(line[1] as string, 16);
    at += line[0].length;
    if (size === 0) break;
    if (text.slice(at + size, at + size + 2) !== '\r\n') return null;
    body += text.slice(at, at + size);
    at += size + 2;
  }
  const trailers: string[] = [];
  while (!text.startsWith('\r\n', at)) {
    const line = matchAt(TRAILER_LINE, text, at);
    if (line === null) return null;
    const name = (line[1] as string).toLowerCase();
    if (FORBIDDEN_NAMES.has(name)) return null;
    if (!name.includes('_')) trailers.push(name, line[2] as string);
    at += line[0].length;
  }
  return { body, trailers, size: at + 2 };
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
