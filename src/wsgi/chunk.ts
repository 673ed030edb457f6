import { RyegateError } from '../errors.ts';
import type { Chunk } from './types.ts';

/** Throws `ERR_RYEGATE_CHUNK` for what cannot be sent. */
export function checkChunk(chunk: unknown): Chunk {
  if (typeof chunk === 'string' || chunk instanceof Uint8Array) return chunk;
  throw new RyegateError(
    'ERR_RYEGATE_CHUNK',
    `the result holds ${describe(chunk)}: expected strings and Uint8Arrays (Buffers) only`,
  );
}

/** In bytes, as sent. */
export function byteLength(chunk: Chunk): number {
  return typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.length;
}

/** What a value is, for a message. */
export function describe(value: unknown): string {
  return value === null || value === undefined ? String(value) : `a value of type ${typeof value}`;
}
