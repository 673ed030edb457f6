import { isIPv6 } from 'node:net';
import type { Outcome, SeenRequest } from './outcome.ts';

/** What became of the next request: it was run, or the outcome of the stream is this. */
export type Step =
  | { readonly kind: 'run'; readonly request: SeenRequest; readonly code: string }
  | { readonly kind: Outcome['ending']; readonly code: string };

/** Where the two sides part, at one request. */
export interface Place {
  /** What ours made of it, and Node's. */
  readonly mine: Step;
  readonly other: Step;
  /** The bytes from where that request begins, one character per byte. */
  readonly text: string;
  /** The request before it, as Node saw it; the same to both. */
  readonly before: SeenRequest | undefined;
  /** That and all before it. */
  readonly earlier: readonly SeenRequest[];
}

/** Whether ours refused the head with this code, and Node did not. */
export function refused({ mine }: Place, code: string): boolean {
  return mine.kind === 'refused' && mine.code === `ERR_RYEGATE_${code}`;
}

/** The request that Node ran and ours refused with this code. */
export function stricter(place: Place, code: string): SeenRequest | null {
  return refused(place, code) && place.other.kind === 'run' ? place.other.request : null;
}

/** Whether both ran the request and only ours broke off in its body, with this code. */
export function brokeOff({ mine, other }: Place, code: string): boolean {
  const broken = mine.kind === 'run' && mine.request.bodyEnd === 'broken';
  return broken && mine.code === `ERR_RYEGATE_${code}` && other.kind === 'run';
}

/** Whether Node refused a head, or a body, with this code where ours went on. */
export function laxer({ mine, other }: Place, code: RegExp): boolean {
  const broken = other.kind === 'run' && other.request.bodyEnd === 'broken';
  return mine.kind !== 'refused' && (other.kind === 'refused' || broken) && code.test(other.code);
}

/** The values of a field of a request. */
export function values({ fields }: SeenRequest, name: string): string[] {
  return fields.filter((_, index) => index % 2 === 1 && fields[index - 1] === name);
}

/** The members of the lists in a field, in lower case. */
export function members(request: SeenRequest, name: string): string[] {
  const texts = values(request, name).join(',').toLowerCase().split(',');
  return texts.map((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''));
}

const AUTHORITY = /^(?:\[([0-9a-f:.]+)\]|(?:[\w.~!$&'()*+,;=-]|%[0-9a-f]{2})+)(?::(\d{0,5}))?$/i;

/** `host[:port]`, as RFC 9110 section 7.2 has it in Host. */
export function isAuthority(text: string, portRequired = false): boolean {
  const parts = AUTHORITY.exec(text);
  if (parts === null) return false;
  const [, address, port = ''] = parts;
  if (address !== undefined && !isIPv6(address)) return false;
  return Number(port) <= 65_535 && !(portRequired && port === '');
}

/** Whether the target has one of the four forms of RFC 9112 section 3.2. */
export function isTarget(method: string, target: string): boolean {
  if (method === 'CONNECT') return isAuthority(target, true);
  if (target === '*') return method === 'OPTIONS';
  const authority = /^https?:\/\/([^/?]*)/i.exec(target)?.[1];
  return target.startsWith('/') || (authority !== undefined && isAuthority(authority));
}
