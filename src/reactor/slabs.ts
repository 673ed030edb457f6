import { type NativeSocketBatch, native } from '../native.ts';

const INPUT_BYTES = 1024 * 1024;
const OUTPUT_BYTES = 1024 * 1024;

/** Sockets served by one native call; more take further calls in the same turn. */
export const RECEIVES = 1024;
export const SENDS = 2048;
export const ACCEPTS = 256;

export const RECEIVE_WORDS = 3;
export const SEND_WORDS = 12;
export const ACCEPT_WORDS = 7;

/** Node's own fast path, which its type declarations leave out. */
interface Latin1Writer {
  latin1Write(text: string, offset: number): number;
}

/**
 * The memory that a reactor shares with the addon. It is allocated once: its pages cost nothing
 * until traffic touches them.
 */
export class Slabs {
  readonly input: Buffer = Buffer.allocUnsafeSlow(INPUT_BYTES);
  readonly output: Buffer & Latin1Writer = Buffer.allocUnsafeSlow(OUTPUT_BYTES) as Buffer &
    Latin1Writer;
  readonly receives: Int32Array = new Int32Array(RECEIVES * RECEIVE_WORDS);
  readonly sends: Int32Array = new Int32Array(SENDS * SEND_WORDS);
  readonly accepts: Int32Array = new Int32Array(ACCEPTS * ACCEPT_WORDS);
  readonly batch: NativeSocketBatch = new native.SocketBatch(this);
}
