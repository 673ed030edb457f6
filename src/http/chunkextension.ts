import { BACKSLASH, CR, DQUOTE, EQUALS, isFieldValue, isOWS, SEMICOLON, TCHAR } from './grammar.ts';

/**
 * The grammar of chunk extensions as a table of states by class of byte (RFC 9112 section 7.1.1):
 * `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )` up to the CR.
 */
const REFUSED = 0;
const SIZE_OR_VALUE_END = 1;
const BEFORE_SEMICOLON = 2;
const NAME_START = 3;
const NAME = 4;
const NAME_END = 5;
const VALUE_START = 6;
const TOKEN = 7;
const QUOTED = 8;
const ESCAPED = 9;
const LINE_END = 10;

const CLASSES = 8;
// A row per state in the order above; columns: SP or HTAB, `;`, `=`, `"`, `\`, other tchar, CR,
// other text.
const STATES = [
  [REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED],
  [BEFORE_SEMICOLON, NAME_START, REFUSED, REFUSED, REFUSED, REFUSED, LINE_END, REFUSED],
  [BEFORE_SEMICOLON, NAME_START, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED],
  [NAME_START, REFUSED, REFUSED, REFUSED, REFUSED, NAME, REFUSED, REFUSED],
  [NAME_END, NAME_START, VALUE_START, REFUSED, REFUSED, NAME, LINE_END, REFUSED],
  [NAME_END, NAME_START, VALUE_START, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED],
  [VALUE_START, REFUSED, REFUSED, QUOTED, REFUSED, TOKEN, REFUSED, REFUSED],
  [BEFORE_SEMICOLON, NAME_START, REFUSED, REFUSED, REFUSED, TOKEN, LINE_END, REFUSED],
  [QUOTED, QUOTED, QUOTED, SIZE_OR_VALUE_END, ESCAPED, QUOTED, REFUSED, QUOTED],
  [QUOTED, QUOTED, QUOTED, QUOTED, QUOTED, QUOTED, REFUSED, QUOTED],
];
const NEXT_STATE: Uint8Array = Uint8Array.from(STATES.flat());

/** The class of bytes that no state takes: no column of the table. */
const NO_CLASS = 255;
const CLASS: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => classOf(byte));

function classOf(byte: number): number {
  if (isOWS(byte)) return 0;
  const special = [SEMICOLON, EQUALS, DQUOTE, BACKSLASH].indexOf(byte);
  if (special !== -1) return 1 + special;
  if (TCHAR[byte] === 1) return 5;
  if (byte === CR) return 6;
  return isFieldValue(byte) ? 7 : NO_CLASS;
}

/** The state after the digits of a chunk size. */
export const EXTENSION_START: number = SIZE_OR_VALUE_END;
/** The state after the CR that ends the line. */
export const EXTENSION_DONE: number = LINE_END;
/** The state after a byte that the grammar does not have there. */
export const EXTENSION_REFUSED: number = REFUSED;

/** The state after `byte` came in `state`. */
export function nextExtensionState(state: number, byte: number): number {
  const kind = CLASS[byte] as number;
  return kind < CLASSES ? (NEXT_STATE[state * CLASSES + kind] as number) : REFUSED;
}
