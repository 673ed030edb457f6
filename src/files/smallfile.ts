import { readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SystemCallError } from '../errors.ts';
import { HTTPError } from '../http/httperror.ts';
import { FileFacts, IN_PROGRESS } from '../io/filefacts.ts';
import { native } from '../native.ts';

/** A file that changes while it is read is read again so often. */
const MOST_READS = 5;

// `facts` are brought up to date when the file has changed meanwhile.

/** The contents of a file whose pages are in memory; null where something has to be waited for. */
export function readCached(fd: number, facts: FileFacts): Buffer | null {
  if (isInProgress(facts)) return null;
  const body = Buffer.allocUnsafeSlow(facts.size);
  if (native.readNow(fd, body, 0) !== body.length) return null;
  return isUnchanged(fd, facts) ? body : null;
}

/** The contents of a file, whatever has to be waited for. */
export function readWhole(fd: number, facts: FileFacts): Buffer {
  for (let i = 0; i < MOST_READS; i++) {
    const body = Buffer.allocUnsafeSlow(facts.size);
    const count = readSync(fd, body, 0, body.length, 0);
    if (isUnchanged(fd, facts)) return body.subarray(0, count);
  }
  throw beingRewritten();
}

/**
 * The contents of a file, read on the thread pool; null when it has grown to more than `most` bytes.
 * One that does nothing but grow is read as far as it was.
 */
export async function readLater(
  fd: number,
  facts: FileFacts,
  most: number,
): Promise<Buffer | null> {
  let grown: Buffer | null = null;
  for (let i = 0; i < MOST_READS; i++) {
    if (isInProgress(facts)) await sleep(IN_PROGRESS);
    const body = Buffer.allocUnsafeSlow(facts.size);
    const count = await new Promise<number>((resolve) => native.readLater(fd, body, 0, resolve));
    if (count < 0) throw new SystemCallError(count, 'read', 'a file to be served');
    // Files of the system's own may have less in them than they say.
    if (isUnchanged(fd, facts)) return body.subarray(0, count);
    if (facts.size > most) return null;
    // The time changes before the size does: now and then it is the same still.
    if (facts.size !== body.length) grown = facts.size > body.length ? body : null;
  }
  if (grown === null) throw beingRewritten();
  return grown;
}

const now = new FileFacts();

function isUnchanged(fd: number, facts: FileFacts): boolean {
  native.fileStatus(fd, now.data);
  if (now.equals(facts)) return true;
  facts.data.set(now.data);
  return false;
}

function isInProgress({ modified, modifiedNanoseconds }: FileFacts): boolean {
  const age = Date.now() - modified * 1000 - modifiedNanoseconds / 1e6;
  return age >= 0 && age < IN_PROGRESS;
}

function beingRewritten(): HTTPError {
  const message = 'The file is being rewritten: try again later.';
  return new HTTPError(503, 'ERR_RYEGATE_BUSY', message);
}
