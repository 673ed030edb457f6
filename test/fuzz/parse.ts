import { ChunkedReader, LengthReader } from '../../src/http/body.ts';
import { parseHead, RequestHead } from '../../src/http/head.ts';
import { resolveLimits } from '../../src/http/limits.ts';

const LIMITS = resolveLimits({ bodyBytes: Number.MAX_SAFE_INTEGER });
const NOWHERE = { bodyData(): void {} };

/** The text from where the request `index` begins, those before it being sound. */
export function textFrom(bytes: Buffer, index: number): string {
  let at = 0;
  for (let count = index; count > 0; count--) {
    const head = new RequestHead();
    at += parseHead(bytes, at, bytes.length, LIMITS, head);
    const reader = head.chunked
      ? new ChunkedReader(LIMITS)
      : new LengthReader(Math.max(0, head.contentLength));
    at += reader.feed(bytes, at, bytes.length, NOWHERE);
  }
  return bytes.toString('latin1', at);
}

/** What may follow what has come of a head, so that it is complete. */
const REST = ' HTTP/1.1\r\nHost: a\r\n\r\n';

/** Whether no part of a plain request that may follow makes a sound head of what `text` begins. */
export function isRefusedWhenComplete(text: string): boolean {
  const outcomes = Array.from(REST, (_, from) => parsed(text + REST.slice(from)));
  return !outcomes.includes('taken') && outcomes.includes('refused');
}

function parsed(text: string): 'taken' | 'incomplete' | 'refused' {
  const bytes = Buffer.from(text, 'latin1');
  try {
    const taken = parseHead(bytes, 0, bytes.length, LIMITS, new RequestHead());
    return taken > 0 ? 'taken' : 'incomplete';
  } catch {
    return 'refused';
  }
}
