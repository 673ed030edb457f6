import { RyegateError } from '../errors.ts';
import { checkHeaders, type HeaderList } from './headers.ts';

/**
 * Fields that a trailer must not carry, in either direction: framing, routing, authentication and
 * what decides how the message is read came too late, and merging them is how requests are smuggled
 * (RFC 9110 section 6.5.1).
 */
const FORBIDDEN: ReadonlySet<string> = new Set([
  'age',
  'authorization',
  'cache-control',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'expect',
  'expires',
  'host',
  'keep-alive',
  'location',
  'max-forwards',
  'pragma',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'range',
  'retry-after',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'vary',
  'warning',
  'www-authenticate',
]);

/** `name` in lower case. */
export function isForbiddenTrailer(name: string): boolean {
  return FORBIDDEN.has(name);
}

/** Throws `ERR_RYEGATE_TRAILER` for a field that cannot come so late; else as `checkHeaders()`. */
export function checkTrailers(trailers: HeaderList): HeaderList {
  const checked = checkHeaders(trailers);
  for (const [name] of checked) {
    if (!isForbiddenTrailer(name.toLowerCase())) continue;
    throw new RyegateError(
      'ERR_RYEGATE_TRAILER',
      `the field ${name} has no place in a trailer: give it to startResponse() ` +
        '(RFC 9110 section 6.5.1)',
    );
  }
  return checked;
}

/** Whether a TE value says that the client takes trailers (RFC 9110 section 10.1.4). */
export function takesTrailers(te: string): boolean {
  return te.split(',').some((coding) => coding.trim().toLowerCase() === 'trailers');
}
