import { randomUUID } from 'node:crypto';
import { fchmodSync } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { byteString } from '../bytestring.ts';
import { native } from '../native.ts';
import type { Take } from './soloreader.ts';

/** Bytes that are copied at a time: a thread that ends waits for no more. */
const PIECE = 64 * 1024 * 1024;

/** Where a file is made that is to replace `target`: in its folder, so that it can be renamed. */
function temporaryFor(target: string): string {
  return join(dirname(target), `.ryegate-${randomUUID()}`);
}

async function moveInto(target: string, temporary: string): Promise<void> {
  try {
    await rename(temporary, target);
  } catch (error) {
    await discard(temporary);
    throw error;
  }
}

/** What went wrong before is what is told. */
async function discard(temporary: string): Promise<void> {
  await unlink(temporary).catch(() => {});
}

/**
 * Has `fill` write a file that then replaces `path` at once; whatever fails leaves nothing.
 * `mode`: the permissions, whatever the umask.
 */
export async function replaceFile<T>(
  path: string,
  mode: number,
  fill: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const target = resolve(path);
  const temporary = temporaryFor(target);
  const file = await open(temporary, 'wx', 0o600);
  let result: T;
  try {
    try {
      await file.chmod(mode);
      result = await fill(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    await discard(temporary);
    throw error;
  }
  await moveInto(target, temporary);
  return result;
}

/** Saves what `take` gives, to its end, as a file that replaces `path`: how many bytes. */
export function saveBytes(path: string, mode: number, take: Take): Promise<number> {
  return replaceFile(path, mode, async (file) => {
    let size = 0;
    for (;;) {
      const bytes = await take();
      if (bytes.length === 0) return size;
      await file.writeFile(bytes);
      size += bytes.length;
    }
  });
}

/**
 * Gives the unnamed file `fd` the name `path`, replacing what had it. False where the system or
 * the file system does not do that, such as from one file system to another.
 */
export async function nameFile(fd: number, path: string, mode: number): Promise<boolean> {
  const target = resolve(path);
  const temporary = temporaryFor(target);
  fchmodSync(fd, mode);
  if (native.linkUnnamed(fd, byteString(temporary)) < 0) return false;
  await moveInto(target, temporary);
  return true;
}

/** Copies `count` bytes from `position` on, on the thread pool. False when there are fewer. */
export async function copyInto(
  file: FileHandle,
  fd: number,
  position: number,
  count: number,
): Promise<boolean> {
  for (let done = 0; done < count; ) {
    const wanted = Math.min(PIECE, count - done);
    const from = position + done;
    const copied = await new Promise<number>((settle) => {
      native.copyRange(fd, from, file.fd, done, wanted, settle);
    });
    if (copied < 0) throw fileError(copied, 'copy_file_range');
    if (copied === 0) return false;
    done += copied;
  }
  return true;
}

/** An error as those of `node:fs`. */
function fileError(errno: number, syscall: string): NodeJS.ErrnoException {
  const [code, description] = getSystemErrorMap().get(errno) ?? [`E${-errno}`, 'unknown error'];
  return Object.assign(new Error(`${code}: ${description}, ${syscall}`), { errno, code, syscall });
}
