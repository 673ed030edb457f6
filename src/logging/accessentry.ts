import type { RequestHead } from '../http/head.ts';
import type { HeaderList } from '../http/headers.ts';

/** What an access log is told of one request. */
export interface AccessEntry {
  /** When it was done with, in milliseconds since 1970. */
  readonly time: number;
  /** The client's address. */
  readonly client: string;
  /** The method is empty for a request line that could not be read. */
  readonly head: Pick<RequestHead, 'method' | 'target' | 'minor' | 'fields'>;
  /** Of the response; 0 when its head was not sent. */
  readonly status: number;
  /** Bytes of the response's body. */
  readonly bytes: number;
  /** From the arrival of the request's head until it was done with. */
  readonly seconds: number;
  /** Whether the response was broken off, or never begun as the client had gone. */
  readonly aborted: boolean;
  /** As the application gave them; null where nobody asks for them. */
  readonly responseFields: HeaderList | null;
  /** Null where nobody asks for it, or there is none. */
  readonly environ: Readonly<Record<string, unknown>> | null;
}

/** The value of a request's field by its name in lower case, repeats joined by ", "; null for none. */
export function requestField({ head }: AccessEntry, name: string): string | null {
  const { fields } = head;
  let value: string | null = null;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== name) continue;
    const next = fields[i + 1] as string;
    value = value === null ? next : `${value}, ${next}`;
  }
  return value;
}

/** The same of the response. */
export function responseField({ responseFields }: AccessEntry, name: string): string | null {
  const values = (responseFields ?? [])
    .filter(([key]) => key.toLowerCase() === name)
    .map(([, value]) => value);
  return values.length === 0 ? null : values.join(', ');
}

/** The path of the request target, as sent. */
export function pathOf({ head }: AccessEntry): string {
  const question = head.target.indexOf('?');
  return question < 0 ? head.target : head.target.slice(0, question);
}

/** What follows the question mark of the request target, as sent. */
export function queryOf({ head }: AccessEntry): string {
  const question = head.target.indexOf('?');
  return question < 0 ? '' : head.target.slice(question + 1);
}

export function protocolOf({ head }: AccessEntry): string {
  return head.minor === 1 ? 'HTTP/1.1' : 'HTTP/1.0';
}

/** The user of `Authorization: Basic` (RFC 7617), whose password was not looked at; null for none. */
export function userOf(entry: AccessEntry): string | null {
  const authorization = requestField(entry, 'authorization');
  if (authorization === null) return null;
  const encoded = /^basic +([\w+/-]+=*)$/i.exec(authorization)?.[1];
  if (encoded === undefined) return null;
  const [user = ''] = Buffer.from(encoded, 'base64').toString('latin1').split(':', 1);
  return user === '' ? null : user;
}
