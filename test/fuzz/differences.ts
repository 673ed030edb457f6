import { METHODS } from 'node:http';
import type { SeenRequest } from './outcome.ts';
import { isRefusedWhenComplete } from './parse.ts';
import {
  brokeOff,
  isAuthority,
  isTarget,
  laxer,
  members,
  type Place,
  refused,
  type Step,
  stricter,
  values,
} from './place.ts';
import { FORBIDDEN_NAMES } from './referencedecoder.ts';

/** A way in which the two parsers differ, and rightly so. */
export interface Difference {
  readonly name: string;
  /** Why ours is right, with the section that says so. */
  readonly reason: string;
  /** Whether this is what parts the two here. */
  explains(place: Place): boolean;
}

const SINGLETONS: ReadonlySet<string> = new Set([
  'authorization',
  'content-location',
  'content-range',
  'content-type',
  'date',
  'host',
  'range',
  'referer',
  'transfer-encoding',
  'user-agent',
]);

/** Ours refuses the head. */
const STRICTER_HEADS: readonly Difference[] = [
  {
    name: 'line ends before the request line',
    reason: 'An empty line ends with CRLF, and a server ignores at least one (RFC 9112 2.2): four.',
    explains: (place) =>
      refused(place, 'BAD_REQUEST_LINE') && /^(\r\n){5}|^(\r\n)*(\n|\r(?!\n))/.test(place.text),
  },
  {
    name: 'more than one space in the request line',
    reason: 'One SP parts method, target and version; leniency invites smuggling (RFC 9112 3).',
    explains: (place) =>
      refused(place, 'BAD_REQUEST_LINE') && /^(\r\n)*\S+( {2,}| \S+ {2,})/.test(place.text),
  },
  {
    name: 'fragment in the target',
    reason: 'No form of the request target has a fragment (RFC 9112 3.2).',
    explains: (place) =>
      refused(place, 'BAD_REQUEST_LINE') && /^(\r\n)*\S+ [^\s#]*#/.test(place.text),
  },
  {
    name: 'HTTP/0.9',
    reason: 'A request line ends with a version (RFC 9112 3).',
    explains: (place) =>
      refused(place, 'BAD_REQUEST_LINE') && /^(\r\n)*\S+ \S+[\r\n]/.test(place.text),
  },
  {
    name: 'RTSP and ICE',
    reason: 'The protocol is called HTTP (RFC 9112 2.3).',
    explains: (place) =>
      refused(place, 'BAD_REQUEST_LINE') && /^(\r\n)*\S+ \S+ [RI]/.test(place.text),
  },
  {
    name: 'other versions',
    reason: 'Another major version has another syntax, and gets 505 (RFC 9110 2.5 and 15.6.6).',
    explains: (place) =>
      refused(place, 'UNSUPPORTED_VERSION') &&
      /^(\r\n)*\S+ \S+ HTTP\/(0\.9|2\.0)\r/.test(place.text),
  },
  {
    name: 'form of the target',
    reason: 'There are four forms; http and https are the schemes served (RFC 9112 3.2).',
    explains: (place) => {
      const line = /^(?:\r\n)*(\S+) (\S+) /.exec(place.text);
      return (
        refused(place, 'BAD_TARGET') && line !== null && !isTarget(line[1] ?? '', line[2] ?? '')
      );
    },
  },
  {
    name: 'no Host',
    reason: 'A 1.1 request without Host MUST be answered with 400 (RFC 9112 3.2).',
    explains: (place) => {
      const request = stricter(place, 'BAD_HOST');
      return request?.version === '1.1' && values(request, 'host').length === 0;
    },
  },
  {
    name: 'bad Host',
    reason: 'A request with an invalid Host MUST be answered with 400 (RFC 9112 3.2).',
    explains: (place) => {
      const request = stricter(place, 'BAD_HOST');
      const hosts = request === null ? [] : values(request, 'host');
      return hosts.some((host) => host !== '' && !isAuthority(host));
    },
  },
  {
    name: 'repeated field',
    reason: 'Only lists may be repeated (RFC 9110 5.3), and Host never (RFC 9112 3.2).',
    explains: (place) => {
      const request = stricter(place, 'REPEATED_FIELD');
      const names = request?.fields.filter((_, index) => index % 2 === 0) ?? [];
      return names.some((name, index) => SINGLETONS.has(name) && names.indexOf(name) !== index);
    },
  },
  {
    name: 'Content-Length with leading zeros',
    reason: 'RFC 9110 8.6 has them, but who reads them as octal sees another end (RFC 9112 11.2).',
    explains: (place) => {
      const request = stricter(place, 'BAD_CONTENT_LENGTH');
      return (
        request !== null && values(request, 'content-length').some((text) => /^0\d/.test(text))
      );
    },
  },
  {
    name: 'Content-Length beyond 2^53 - 1',
    reason: 'A recipient must not lose precision with large numbers (RFC 9110 8.6).',
    explains: (place) => {
      const request = stricter(place, 'BAD_CONTENT_LENGTH');
      const lengths = request === null ? [] : values(request, 'content-length');
      return lengths.some((text) => !Number.isSafeInteger(Number(text)));
    },
  },
  {
    name: 'no length in HTTP/1.0',
    reason:
      'A 1.0 client might end its body by closing: with these methods 411 (RFC 9110 15.5.12).',
    explains: (place) => {
      const request = stricter(place, 'LENGTH_REQUIRED');
      if (request?.version !== '1.0' || !/^(POST|PUT|PATCH)$/.test(request.method)) return false;
      return values(request, 'content-length').length === 0;
    },
  },
  {
    name: 'Transfer-Encoding in HTTP/1.0',
    reason: 'Its framing is faulty even where chunked is last (RFC 9112 6.1).',
    explains: (place) => {
      const request = stricter(place, 'BAD_TRANSFER_ENCODING');
      return request?.version === '1.0' && values(request, 'transfer-encoding').length > 0;
    },
  },
  {
    name: 'malformed Transfer-Encoding',
    reason: 'It lists codings, with chunked once and last (RFC 9112 6.1 and 6.3).',
    explains: (place) => {
      const request = stricter(place, 'BAD_TRANSFER_ENCODING');
      if (request === null || values(request, 'transfer-encoding').length === 0) return false;
      const codings = members(request, 'transfer-encoding');
      const tokens = codings.every((coding) => /^[\w!#$%&'*+.^`|~-]+$/.test(coding));
      return !tokens || codings.slice(0, -1).includes('chunked');
    },
  },
  {
    name: 'unknown transfer coding',
    reason: 'What is not understood should be answered with 501 (RFC 9112 6.1).',
    explains: (place) => {
      const request = stricter(place, 'UNKNOWN_TRANSFER_CODING');
      const codings = request === null ? [] : members(request, 'transfer-encoding');
      return codings.some((coding) => coding !== 'chunked');
    },
  },
  {
    name: 'Expect',
    reason: 'What is no 100-continue may be answered with 417 (RFC 9110 10.1.1).',
    explains: (place) => {
      const request = stricter(place, 'EXPECTATION_FAILED');
      const expected = request === null ? [] : values(request, 'expect');
      return expected.some((text) => text.toLowerCase() !== '100-continue');
    },
  },
];

/** After the last chunk, before the next empty line. */
const FORBIDDEN_TRAILER = new RegExp(
  `\\r\\n0+[^\\r\\n]*\\r\\n([^\\r\\n]+\\r\\n)*(${[...FORBIDDEN_NAMES].join('|')}):`,
  'i',
);

/** A chunk extension that the grammar of RFC 9112 section 7.1.1 does not have. */
function hasBadExtension(text: string): boolean {
  const extension =
    /^([ \t]*;[ \t]*[\w!#$%&'*+.^`|~-]+([ \t]*=[ \t]*([\w!#$%&'*+.^`|~-]+|"([^"\\]|\\.)*"))?)*$/;
  const found = text.matchAll(/\r\n[0-9a-f]+([ \t]*;[^\r\n]*)/gi);
  return [...found].some((match) => !extension.test(match[1] ?? ''));
}

/** Ours breaks off in the body. */
const STRICTER_BODIES: readonly Difference[] = [
  {
    name: 'forbidden trailer',
    reason: 'Framing, routing and authentication have no place in a trailer (RFC 9110 6.5.1).',
    explains: (place) => brokeOff(place, 'BAD_TRAILER') && FORBIDDEN_TRAILER.test(place.text),
  },
  {
    name: 'chunk size of more than 16 digits, or beyond 2^53 - 1',
    reason: 'Large numbers must be expected and overflow prevented (RFC 9112 7.1).',
    explains: (place) =>
      brokeOff(place, 'BAD_CHUNK') &&
      /\r\n(?=[0-9a-f]{14})([0-9a-f]{17}|0*[2-9a-f][0-9a-f]{13}|0*[1-9a-f][0-9a-f]{14})/i.test(
        place.text,
      ),
  },
  {
    name: 'chunk extension without a name or a value',
    reason: 'The name is a token, the value a token or quoted (RFC 9112 7.1.1).',
    explains: (place) => brokeOff(place, 'BAD_CHUNK') && hasBadExtension(place.text),
  },
];

/** Ours goes on where Node refuses. */
const LAXER: readonly Difference[] = [
  {
    name: 'extension method',
    reason: 'A method is any token, and which are known is for the application (RFC 9110 9.1).',
    explains: (place) => {
      const method = /^(?:\r\n)*([\w!#$%&'*+.^`|~-]+)(?: |$)/.exec(place.text)?.[1];
      // Node waits for the rest of what could be the preface of HTTP/2.
      if (method === 'PRI' && place.other.kind === 'waiting') return true;
      const unknown = method !== undefined && !METHODS.includes(method);
      return unknown && laxer(place, /^HPE_INVALID_(METHOD|CONSTANT|VERSION)$/);
    },
  },
  {
    name: 'HTAB after Content-Length or Transfer-Encoding',
    reason: 'Whitespace after a value is no part of it, be it SP or HTAB (RFC 9110 5.5).',
    explains: (place) =>
      laxer(place, /^HPE_INVALID_(CONTENT_LENGTH|TRANSFER_ENCODING)$/) &&
      /\n(content-length:[ \t]*\d+|transfer-encoding:[ \t]*chunked) *\t[ \t]*(\r|$)/i.test(
        place.text,
      ),
  },
  {
    name: 'whitespace in a chunk extension',
    reason: 'The grammar has it around `;` and `=`, and it must be parsed (RFC 9112 7.1.1).',
    explains: (place) =>
      laxer(place, /^HPE_(STRICT|INVALID_CHUNK_SIZE)$/) &&
      /\r\n[0-9a-f]+(;[^\r\n]*)?([ \t]+([;=]|$)|[;=][ \t]+)/i.test(place.text),
  },
  {
    name: 'refused when the line or head is complete',
    reason: 'When an invalid message is answered is not ruled (RFC 9112 2.2); it will be.',
    explains: (place) => {
      if (!laxer(place, /^HPE_(INVALID|UNEXPECTED)_/)) return false;
      if (place.mine.kind === 'waiting') return isRefusedWhenComplete(place.text);
      const inTrailer = place.mine.kind === 'run' && place.mine.request.bodyEnd === 'incomplete';
      return inTrailer && FORBIDDEN_TRAILER.test(place.text);
    },
  },
];

/** Ours reads on where Node does not. */
const CONNECT_BODY: Difference = {
  name: 'body of CONNECT',
  reason:
    'Framing does not depend on the method (RFC 9112 6.3), only its content has no meaning (RFC ' +
    '9110 9.3.6). Without a tunnel to hand the rest to, ours answers and closes.',
  explains: ({ mine, other }) => {
    if (mine.kind !== 'run' || other.kind !== 'run' || other.request.method !== 'CONNECT') {
      return false;
    }
    const { fields, body } = other.request;
    const framed = fields.includes('content-length') || fields.includes('transfer-encoding');
    return framed && body === '' && mine.request.target === other.request.target;
  },
};

/** One keeps the connection, the other closes it. */
const PERSISTENCE: readonly Difference[] = [
  {
    name: 'Proxy-Connection',
    reason: 'Only Connection decides whether the connection persists (RFC 9112 9.3 and C.2.2).',
    explains: ({ mine, other, before }) =>
      before !== undefined &&
      (mine.kind === 'closed') !== (other.kind === 'closed') &&
      values(before, 'proxy-connection').length > 0,
  },
  {
    name: 'close after HTAB or with keep-alive',
    reason: 'The list may hold either whitespace, and close counts for more (RFC 9112 9.3).',
    explains: ({ mine, other, before }) => {
      if (before === undefined || mine.kind !== 'closed' || other.kind === 'closed') return false;
      const options = members(before, 'connection');
      const tabs = values(before, 'connection').some((text) => text.includes('\t'));
      return options.includes('close') && (tabs || options.includes('keep-alive'));
    },
  },
];

/** Whether Node takes the request for one to upgrade. */
function isUpgrade(request: SeenRequest | undefined): boolean {
  if (request === undefined || values(request, 'upgrade').length === 0) return false;
  return members(request, 'connection').includes('upgrade');
}

const UPGRADES: readonly Difference[] = [
  {
    name: 'Upgrade',
    reason:
      'It may be ignored, and the connection goes on with HTTP/1.1 (RFC 9110 7.8); Node, which ' +
      'ignores it too, loses what follows in the segment and the errors of the body.',
    explains: ({ mine, other, earlier }) => {
      // What was lost may show later only, when the requests that follow are alike.
      if (earlier.some(isUpgrade)) return true;
      if (mine.kind !== 'run' || other.kind !== 'run' || !isUpgrade(other.request)) return false;
      return mine.request.bodyEnd !== 'incomplete' && other.request.bodyEnd === 'incomplete';
    },
  },
];

export const DIFFERENCES: readonly Difference[] = [
  ...STRICTER_HEADS,
  ...STRICTER_BODIES,
  ...LAXER,
  ...PERSISTENCE,
  ...UPGRADES,
  CONNECT_BODY,
];

/** What `withoutUnderscores` makes equal, in a report. */
export const UNDERSCORES = 'underscore in a name';

/**
 * Fields with an underscore in the name are dropped, as CGI variables cannot tell it from a hyphen
 * (RFC 3875 4.1.18). This is the one difference after which the comparison goes on.
 */
export function withoutUnderscores(step: Step): Step {
  if (step.kind !== 'run') return step;
  const fields = withHyphens(step.request.fields);
  const trailers = withHyphens(step.request.trailers);
  if (fields === step.request.fields && trailers === step.request.trailers) return step;
  return { ...step, request: { ...step.request, fields, trailers } };
}

/** The list itself when no name in it has an underscore. */
function withHyphens(list: readonly string[]): readonly string[] {
  const kept = list.filter((_, index) => !list[index - (index % 2)]?.includes('_'));
  return kept.length === list.length ? list : kept;
}
