/** The UTF-8 bytes of `text`, one character per byte: as PEP 3333 and the addon have paths. */
export function byteString(text: string): string {
  return Buffer.from(text).toString('latin1');
}
