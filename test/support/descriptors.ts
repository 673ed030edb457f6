import { readdirSync, readSync, writeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { afterEach } from 'vitest';
import { native } from '../../src/native.ts';

/** Opens descriptors for a test. */
export interface DescriptorKeeper {
  pipe(): { reader: number; writer: number };
  socketPair(): [number, number];
  /** Takes charge of a descriptor that was opened elsewhere; throws for a negative errno. */
  keep(fd: number): number;
  close(fd: number): void;
}

function refusal(errno: number): Error {
  return new Error(
    `no descriptor: ${getSystemErrorName(errno)} (the tests need about 3000, see ulimit -n)`,
  );
}

/** A keeper whose descriptors are closed after each test. */
export function descriptorKeeper(): DescriptorKeeper {
  const open = new Set<number>();
  const keep = (fd: number): number => {
    if (fd < 0) throw refusal(fd);
    open.add(fd);
    return fd;
  };
  const keepBoth = (ends: [number, number] | number): [number, number] => {
    if (typeof ends === 'number') throw refusal(ends);
    return [keep(ends[0]), keep(ends[1])];
  };
  const close = (fd: number): void => {
    if (!open.delete(fd)) throw new Error(`descriptor ${fd} is not open here`);
    native.close(fd);
  };
  afterEach(() => {
    for (const fd of [...open]) close(fd);
  });
  return {
    pipe: () => {
      const [reader, writer] = keepBoth(native.pipe());
      return { reader, writer };
    },
    socketPair: () => keepBoth(native.socketPair()),
    keep,
    close,
  };
}

/** How many descriptors this process has open. */
export function openDescriptors(): number {
  // The listing itself holds one while it reads.
  return readdirSync('/proc/self/fd').length - 1;
}

const CHUNK = 65_536;
const MOST_CHUNKS = 1024;

/** Calls `step` until it would block or gives 0; returns the sum of what it gave. */
function untilBlocked(step: () => number): number {
  let total = 0;
  for (let chunk = 0; chunk < MOST_CHUNKS; chunk += 1) {
    try {
      const moved = step();
      if (moved === 0) return total;
      total += moved;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return total;
      throw error;
    }
  }
  throw new Error(`still not blocked after ${total} bytes`);
}

/** Writes until `fd` takes no more; returns how many bytes it took. */
export function fill(fd: number): number {
  const chunk = Buffer.alloc(CHUNK);
  return untilBlocked(() => writeSync(fd, chunk));
}

/** Reads what is there; returns how many bytes it was. */
export function drain(fd: number): number {
  const chunk = Buffer.alloc(CHUNK);
  return untilBlocked(() => readSync(fd, chunk));
}
