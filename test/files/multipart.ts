import { field, type RawResponse } from '../support/rawclient.ts';

/** One part of a multipart body: its fields by their names in lower case, and its bytes. */
export interface Part {
  fields: Record<string, string>;
  body: Buffer;
}

/**
 * Takes a multipart/byteranges response apart by RFC 2046 section 5.1.1, strictly: no preamble, no
 * epilogue but a line break, and fields that are well formed.
 */
export function multipart(response: RawResponse): Part[] {
  const type = field(response, 'Content-Type') ?? '';
  const [, boundary] = /^multipart\/byteranges; boundary=([\w'()+,./:=?-]{1,70})$/.exec(type) ?? [];
  if (boundary === undefined) throw new Error(`no multipart body: ${type}`);
  const { body } = response;
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const first = delimiter.subarray(2);
  if (!body.subarray(0, first.length).equals(first)) throw new Error('no delimiter at the start');
  const parts: Part[] = [];
  for (let at = first.length; ; ) {
    const mark = body.toString('latin1', at, at + 2);
    if (mark === '--') {
      const epilogue = body.toString('latin1', at + 2);
      if (epilogue !== '\r\n') throw new Error(`an epilogue: ${JSON.stringify(epilogue)}`);
      return parts;
    }
    if (mark !== '\r\n') throw new Error(`after a delimiter: ${JSON.stringify(mark)}`);
    const end = body.indexOf(delimiter, at);
    if (end < 0) throw new Error('a part without an end');
    parts.push(parsePart(body.subarray(at + 2, end)));
    at = end + delimiter.length;
  }
}

function parsePart(bytes: Buffer): Part {
  const end = bytes.indexOf('\r\n\r\n');
  const lines = bytes.toString('latin1', 0, end).split('\r\n');
  const fields = lines.map((line) => {
    const match = /^([\w-]+): (.*)$/.exec(line);
    if (match === null) throw new Error(`no field line: ${JSON.stringify(line)}`);
    return [match[1]?.toLowerCase(), match[2]];
  });
  return { fields: Object.fromEntries(fields), body: Buffer.from(bytes.subarray(end + 4)) };
}
