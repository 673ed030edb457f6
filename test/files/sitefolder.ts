import {
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach } from 'vitest';

/** When files were modified unless a test says otherwise: long ago, so that they are settled. */
export const MODIFIED: number = Date.UTC(2024, 1, 29, 12, 30, 15) / 1000;

/** A temporary folder with a root to be served, and room beside it. */
export class SiteFolder {
  readonly base: string = realpathSync(mkdtempSync(join(tmpdir(), 'ryegate-site-')));
  readonly root: string = join(this.base, 'root');

  constructor() {
    mkdirSync(this.root);
  }

  path(name: string): string {
    return join(this.root, name);
  }

  /** `modified`: in seconds since 1970. The folders above are made. */
  write(name: string, content: string | Uint8Array, modified: number = MODIFIED): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    // Node takes a number below 0 for the present.
    const time = new Date(modified * 1000);
    utimesSync(path, time, time);
    return path;
  }

  /** Puts a new file in the place of one that is there, as a whole. */
  replace(name: string, content: string | Uint8Array, modified: number = MODIFIED): void {
    renameSync(this.write(`${name}.new`, content, modified), this.path(name));
  }

  link(name: string, target: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    symlinkSync(target, this.path(name));
  }

  remove(name: string): void {
    rmSync(this.path(name), { recursive: true });
  }
}

/** A function that makes folders, which are removed after each test. */
export function siteFolders(): () => SiteFolder {
  const made: SiteFolder[] = [];
  afterEach(() => {
    for (const { base } of made.splice(0)) rmSync(base, { recursive: true, force: true });
  });
  return () => {
    const folder = new SiteFolder();
    made.push(folder);
    return folder;
  };
}

/** Bytes of which no two short pieces are alike. */
export function pattern(size: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(size);
  let state = seed;
  for (let at = 0; at + 4 <= size; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes.writeInt32LE(state ^ (state >>> 15), at);
  }
  return bytes;
}
