import { describe, expect, it } from 'vitest';
import { Blocks } from '../../src/io/blocks.ts';
import { InputStream } from '../../src/io/inputstream.ts';

const KIB = 1024;

function make(): { blocks: Blocks; input: InputStream } {
  const input = new InputStream(null);
  return { blocks: new Blocks(input), input };
}

describe('blocks', () => {
  it('put pieces of a known length together', () => {
    const { blocks, input } = make();
    const bytes = Buffer.from('..one,two;..');
    blocks.push(bytes, 2, 6, 4);
    blocks.push(bytes, 6, 10, 0);
    expect(input.peek().map(String)).toEqual(['one,two;']);
    bytes.fill('x');
    expect(`${input.readSync(8)}`).toBe('one,two;');
  });

  it('are of 64 KiB at most, and of no more than is known to come', () => {
    const { blocks, input } = make();
    blocks.push(Buffer.alloc(60 * KIB, 'a'), 0, 60 * KIB, 40 * KIB);
    blocks.push(Buffer.alloc(40 * KIB, 'b'), 0, 40 * KIB, 0);
    const held = input.peek();
    expect(held.map(({ length }) => length)).toEqual([64 * KIB, 36 * KIB]);
    expect(held.map(({ buffer }) => buffer.byteLength)).toEqual([64 * KIB, 36 * KIB]);
    expect(`${Buffer.concat(held)}`).toBe('a'.repeat(60 * KIB) + 'b'.repeat(40 * KIB));
  });

  it('go on elsewhere when an application has transferred one away', () => {
    const { blocks, input } = make();
    blocks.push(Buffer.alloc(5 * KIB, 'a'), 0, 5 * KIB, 15 * KIB);
    const read = input.readSync(5 * KIB);
    structuredClone(read.buffer, { transfer: [read.buffer as ArrayBuffer] });
    blocks.push(Buffer.alloc(15 * KIB, 'b'), 0, 15 * KIB, 0);
    expect(`${input.readSync(15 * KIB)}`).toBe('b'.repeat(15 * KIB));
  });
});
