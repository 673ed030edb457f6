import { type AccessEntry, pathOf, protocolOf, queryOf, requestField } from './accessentry.ts';
import { isoTime, quoteJSON } from './logtext.ts';

/** What a logger that takes objects is told of a request; it adds the time by itself. */
export interface AccessRecord {
  client: string;
  /** Null, as the next three, for a request line that could not be read. */
  method: string | null;
  path: string | null;
  query: string | null;
  protocol: string | null;
  /** Null when no head was sent. */
  status: number | null;
  bytes: number;
  /** In steps of a microsecond. */
  seconds: number;
  referer: string | null;
  userAgent: string | null;
  requestId?: string;
  aborted?: true;
}

export function recordOf(entry: AccessEntry): AccessRecord {
  const isRead = entry.head.method !== '';
  const record: AccessRecord = {
    client: entry.client,
    method: isRead ? entry.head.method : null,
    path: isRead ? pathOf(entry) : null,
    query: isRead ? queryOf(entry) : null,
    protocol: isRead ? protocolOf(entry) : null,
    status: entry.status === 0 ? null : entry.status,
    bytes: entry.bytes,
    seconds: Math.round(entry.seconds * 1e6) / 1e6,
    referer: requestField(entry, 'referer'),
    userAgent: requestField(entry, 'user-agent'),
  };
  const requestId = requestField(entry, 'x-request-id');
  if (requestId !== null) record.requestId = requestId;
  if (entry.aborted) record.aborted = true;
  return record;
}

function quote(text: string | null): string {
  return text === null ? 'null' : quoteJSON(text);
}

/** Written out, which takes half the time of `JSON.stringify()`, as hardly anything needs escapes. */
export function jsonLine(entry: AccessEntry): string {
  const record = recordOf(entry);
  const { client, method, path, query, protocol, status, bytes, seconds } = record;
  const { referer, userAgent, requestId, aborted } = record;
  return (
    `{"time":"${isoTime(entry.time)}","client":${quoteJSON(client)},"method":${quote(method)},` +
    `"path":${quote(path)},"query":${quote(query)},"protocol":${quote(protocol)},` +
    `"status":${status},"bytes":${bytes},"seconds":${seconds},` +
    `"referer":${quote(referer)},"userAgent":${quote(userAgent)}` +
    `${requestId === undefined ? '' : `,"requestId":${quoteJSON(requestId)}`}` +
    `${aborted === undefined ? '}' : ',"aborted":true}'}`
  );
}
