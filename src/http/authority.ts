import { isIPv6 } from 'node:net';
import * as grammar from './grammar.ts';

// Constants of this module are folded into machine code, imported ones are read at every use.
const {
  CLOSE_BRACKET,
  COLON,
  DIGIT,
  DOT,
  HEX_VALUE,
  latin1,
  NOT_HEX,
  OPEN_BRACKET,
  PERCENT,
  REG_NAME,
} = grammar;

const LONGEST_IPV6 = 45;

/**
 * Whether `from..to` is `uri-host [ ":" port ]` with a host that is not empty (RFC 9110 section
 * 7.2): a name, an IPv4 address or an IPv6 address in brackets; no userinfo, path or zone.
 * A port is at most 65535, and may be empty (RFC 3986 section 3.2.3) unless it is required.
 */
export function isAuthority(
  bytes: Buffer,
  from: number,
  to: number,
  portRequired: boolean = false,
): boolean {
  if (from >= to) return false;
  const end =
    bytes[from] === OPEN_BRACKET ? endOfIPv6(bytes, from, to) : endOfName(bytes, from, to);
  if (end === from) return false;
  if (end === to) return !portRequired;
  return bytes[end] === COLON && isPort(bytes, end + 1, to, portRequired);
}

function endOfName(bytes: Buffer, from: number, to: number): number {
  let i = from;
  while (i < to) {
    const byte = bytes[i] as number;
    if (REG_NAME[byte] === 1) i++;
    else if (byte === PERCENT && isHex(bytes, i + 1, to) && isHex(bytes, i + 2, to)) i += 3;
    else break;
  }
  return i;
}

/** The position after the closing bracket, or `from` when it is no IPv6 address. */
function endOfIPv6(bytes: Buffer, from: number, to: number): number {
  let i = from + 1;
  // isIPv6 takes a zone (`%eth0`), which has no meaning for a server: digits, colon, dot only.
  while (isHex(bytes, i, to) || (i < to && (bytes[i] === COLON || bytes[i] === DOT))) i++;
  const closed = i < to && bytes[i] === CLOSE_BRACKET && i - from - 1 <= LONGEST_IPV6;
  return closed && isIPv6(latin1(bytes, from + 1, i)) ? i + 1 : from;
}

function isPort(bytes: Buffer, from: number, to: number, required: boolean): boolean {
  if (from === to) return !required;
  if (to - from > 5) return false;
  let port = 0;
  for (let i = from; i < to; i++) {
    const byte = bytes[i] as number;
    if (DIGIT[byte] !== 1) return false;
    port = port * 10 + (byte - 0x30);
  }
  return port <= 65_535;
}

function isHex(bytes: Buffer, at: number, to: number): boolean {
  return at < to && HEX_VALUE[bytes[at] as number] !== NOT_HEX;
}
