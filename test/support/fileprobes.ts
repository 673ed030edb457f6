import fs, { closeSync, openSync, readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { FileLike } from '../../src/index.ts';

/** A file that counts how often it is closed. */
export interface Probe {
  fileLike: FileLike;
  closes(): number;
}

export type Kind = (file: string) => Probe | Promise<Probe>;

function counted<T extends { close(): unknown }>(fileLike: T): Probe {
  let closes = 0;
  const { close } = fileLike;
  fileLike.close = () => {
    closes += 1;
    return close.call(fileLike);
  };
  return { fileLike: fileLike as unknown as FileLike, closes: () => closes };
}

/** How often a bare descriptor was closed, by its number. */
const bareCloses = new Map<number, { count: number }>();

for (const name of ['close', 'closeSync'] as const) {
  const close = fs[name] as (fd: number, ...more: unknown[]) => void;
  fs[name] = ((fd: number, ...more: unknown[]) => {
    const closes = bareCloses.get(fd);
    if (closes !== undefined) closes.count += 1;
    close(fd, ...more);
  }) as typeof close & typeof fs.close & typeof fs.closeSync;
}
// Those who import the functions by name get these as well.
syncBuiltinESMExports();

function bare(file: string): Probe {
  const fileLike = openSync(file, 'r');
  const closes = { count: 0 };
  // A number is given again when it is free: closing the last file that had it is what counts.
  bareCloses.set(fileLike, closes);
  return { fileLike, closes: () => closes.count };
}

export const KINDS: [name: string, kind: Kind][] = [
  ['descriptor', bare],
  ['FileHandle', async (file) => counted<FileHandle>(await open(file))],
  [
    'object with a descriptor',
    (file) => {
      const fd = openSync(file, 'r');
      return counted({ fd, close: () => closeSync(fd) });
    },
  ],
  [
    'object to be read in blocks',
    (file) => {
      const fd = openSync(file, 'r');
      const read = (size: number): Buffer => {
        const block = Buffer.alloc(size);
        return block.subarray(0, readSync(fd, block));
      };
      return counted({ read, close: () => closeSync(fd) });
    },
  ],
];

/** Forgets the descriptors that were opened so far. */
export function forgetDescriptors(): void {
  bareCloses.clear();
}
