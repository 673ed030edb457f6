import { Spelling } from './byteview.ts';
import { InternTable } from './intern.ts';

/**
 * What the head parser does with a field, by number. Above `RULE_CONNECTION` a field must not
 * repeat, and its number is its bit in the set of fields seen (so at most 31).
 */
export const RULE_NONE = 0;
export const RULE_EXPECT = 1;
export const RULE_CONNECTION = 2;
export const RULE_HOST = 3;
export const RULE_CONTENT_LENGTH = 4;
export const RULE_TRANSFER_ENCODING = 5;

/** In the order of the rules above: the id of a name is its rule. */
const RULED = ['expect', 'connection', 'host', 'content-length', 'transfer-encoding'];

/**
 * Fields whose definition allows one value and no list, so that a repeat is refused: joining
 * would make a value nobody sent, and picking one lets two parties pick differently (RFC 9110
 * section 5.3; RFC 6454 for Origin, RFC 6455 for Sec-WebSocket-*).
 */
const SINGLETONS = [
  'authorization',
  'proxy-authorization',
  'content-type',
  'content-location',
  'content-range',
  'date',
  'from',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'max-forwards',
  'origin',
  'range',
  'referer',
  'user-agent',
  'access-control-request-method',
  'sec-websocket-key',
  'sec-websocket-version',
];

/** Fields that often come and may repeat. */
const COMMON = [
  'accept',
  'accept-charset',
  'accept-encoding',
  'accept-language',
  'access-control-request-headers',
  'cache-control',
  'content-encoding',
  'content-language',
  'cookie',
  'dnt',
  'forwarded',
  'idempotency-key',
  'if-match',
  'if-none-match',
  'keep-alive',
  'last-event-id',
  'pragma',
  'prefer',
  'priority',
  'proxy-connection',
  'purpose',
  'save-data',
  'sec-ch-ua',
  'sec-ch-ua-mobile',
  'sec-ch-ua-platform',
  'sec-fetch-dest',
  'sec-fetch-mode',
  'sec-fetch-site',
  'sec-fetch-user',
  'sec-gpc',
  'sec-websocket-extensions',
  'sec-websocket-protocol',
  'te',
  'traceparent',
  'tracestate',
  'trailer',
  'upgrade',
  'upgrade-insecure-requests',
  'via',
  'x-api-key',
  'x-csrf-token',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-real-ip',
  'x-request-id',
  'x-requested-with',
];

/** Common request fields, lower-case, found in any case. */
export const FIELD_NAMES: InternTable = new InternTable([...RULED, ...SINGLETONS, ...COMMON], 0x20);

/** By its id in `FIELD_NAMES`: a name with the colon behind it, in any case. */
export const NAMES_WITH_COLON: readonly Spelling[] = FIELD_NAMES.names.map(
  (name) => new Spelling(`${name}:`, true),
);

/** The rule of a field by its id in `FIELD_NAMES`. */
export const FIELD_RULES: Uint8Array = Uint8Array.from(FIELD_NAMES.names, (_, id) =>
  id <= RULED.length + SINGLETONS.length ? id : RULE_NONE,
);

/** Common methods, found in their exact case: methods are case-sensitive (RFC 9110 section 9.1). */
export const METHODS: InternTable = new InternTable(
  [
    'GET',
    'HEAD',
    'POST',
    'PUT',
    'DELETE',
    'OPTIONS',
    'PATCH',
    'TRACE',
    'CONNECT',
    'QUERY',
    'PROPFIND',
    'PROPPATCH',
    'MKCOL',
    'COPY',
    'MOVE',
    'LOCK',
    'UNLOCK',
    'REPORT',
    'PURGE',
  ],
  0,
);
