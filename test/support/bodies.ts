import type { Application } from '../../src/index.ts';
import { PLAIN, request } from './exchange.ts';

/** Bytes that differ from one place to the next, with a newline now and then. */
export function content(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i++) bytes[i] = i % 997 === 996 ? 10 : (i * 31 + (i >> 8)) & 255;
  return bytes;
}

export function chunked(body: Buffer, size: number): Buffer {
  const head = request('POST', '/', ['Transfer-Encoding: chunked']);
  const parts: Buffer[] = [Buffer.from(head)];
  for (let at = 0; at < body.length; at += size) {
    const part = body.subarray(at, at + size);
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

export function withLength(body: Buffer, ...fields: string[]): Buffer {
  const head = request('POST', '/', [...fields, `Content-Length: ${body.length}`]);
  return Buffer.concat([Buffer.from(head), body]);
}

/** Sends back what it has read at once. */
export const echoSync: Application = (environ, startResponse) => {
  const body = environ['wsgi.input'].readSync();
  startResponse('200 OK', PLAIN);
  return body;
};
