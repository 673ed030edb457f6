import { lchownSync, lstatSync } from 'node:fs';
import { constants } from 'node:os';
import { RyegateError, SystemCallError, showValue } from '../errors.ts';
import type { FileOwner } from '../io/fileowner.ts';
import { native } from '../native.ts';
import { checkFlags, checkOption, isWhole } from '../options.ts';

/** The largest id: to the system, one more means no change. */
const MOST = 2 ** 32 - 2;

/** What the types of Node leave out. */
type WithInitgroups = typeof process & { initgroups(user: string, extraGroup: number): void };

export interface ResolvedUser {
  /** Null for a number without an entry. */
  name: string | null;
  uid: number;
  /** The primary group; null for a number without an entry. */
  gid: number | null;
}

export interface ResolvedGroup {
  /** Null for a number without an entry. */
  name: string | null;
  gid: number;
}

/** Settings of `dropPrivileges()`. */
export interface Privileges {
  /** The name or number of the user to become. Default: no change. */
  user?: string | number | undefined;
  /** The name or number of the group. Default: the primary group of `user`. */
  group?: string | number | undefined;
  /** Permission bits that new files do not get, 0 to 0o777. Default: no change. */
  umask?: number | undefined;
  /**
   * Gives the process all groups that `user` is a member of; otherwise it has `group` alone. Default
   * true.
   */
  initgroups?: boolean | undefined;
}

/**
 * A user, by name or number (also as a string of digits), as the system's name service knows it.
 * For the owner of a socket file or a log as well.
 *
 * @throws RyegateError `ERR_RYEGATE_PRIVILEGES` for an unknown name; SystemCallError when nothing can
 *   be looked up
 */
export function resolveUser(user: string | number): ResolvedUser {
  const found = lookUp('user', user, native.findUser);
  if (typeof found === 'number') return { name: null, uid: found, gid: null };
  const [name, uid, gid] = found;
  return { name, uid, gid };
}

/** A group, likewise. */
export function resolveGroup(group: string | number): ResolvedGroup {
  const found = lookUp('group', group, native.findGroup);
  if (typeof found === 'number') return { name: null, gid: found };
  const [name, gid] = found;
  return { name, gid };
}

/** The entry, or the number that has none. A name of digits alone counts before a number. */
function lookUp<Entry extends readonly unknown[]>(
  kind: 'user' | 'group',
  key: string | number,
  find: (key: string | number) => Entry | number,
): Entry | number {
  const isKey = (value: unknown): boolean => typeof value === 'string' || isWhole(value, 0, MOST);
  checkOption(kind, key, isKey, `the name or number of a ${kind}`);
  const found = known(kind, key, find);
  if (found !== null) return found;
  const id = typeof key === 'string' && /^\d+$/.test(key) ? Number(key) : key;
  if (isWhole(id, 0, MOST)) return known(kind, id, find) ?? (id as number);
  const database = kind === 'user' ? 'passwd' : 'group';
  throw fault(
    `there is no ${kind} ${showValue(key)}: \`getent ${database}\` lists those there are`,
  );
}

function known<Entry>(
  kind: string,
  key: string | number,
  find: (key: string | number) => Entry | number,
): Entry | null {
  const found = find(key);
  if (typeof found !== 'number') return found;
  if (found === -constants.errno.ENOENT) return null;
  throw new SystemCallError(found, 'getpwnam', `the ${kind} ${showValue(key)} cannot be looked up`);
}

/**
 * Gives up the rights of root for good, once what they are needed for is done: addresses bound,
 * logs opened. Sets umask, groups and user, in this order, and verifies that they are as asked for
 * and that root cannot be had back. Where user and group are the process's already, they are left
 * alone. Of the main thread only; it counts for all.
 *
 * @throws RyegateError `ERR_RYEGATE_PRIVILEGES` for an unknown name or when rights are lacking: the
 *   process may be half way, and should end
 */
export function dropPrivileges(privileges: Privileges): void {
  const { user, group, umask, initgroups = true } = privileges;
  const isMask = (value: number): boolean => isWhole(value, 0, 0o777);
  checkOption('umask', umask, isMask, 'permission bits such as 0o027');
  checkFlags(privileges, ['initgroups']);
  const owner = user === undefined ? null : resolveUser(user);
  const gid = group === undefined ? (owner?.gid ?? null) : resolveGroup(group).gid;
  if (owner !== null && gid === null) {
    throw fault(`user ${owner.uid} has no entry, so its group is not known: give a group too`);
  }
  const uid = owner?.uid ?? null;
  try {
    if (umask !== undefined) process.umask(umask);
    if (!hasIds(uid, gid)) {
      if (gid !== null) setGroups(gid, initgroups ? (owner?.name ?? null) : null);
      if (uid !== null) process.setuid?.(uid);
    }
  } catch (error) {
    throw lacking(error, owner, gid);
  }
  verify(uid, gid);
}

/**
 * Whom root has to give files to, such as logs, for those whom `dropPrivileges()` makes of it.
 * Null when there is nobody, and for anybody else than root.
 *
 * @throws RyegateError `ERR_RYEGATE_PRIVILEGES` for an unknown name
 */
export function fileOwner({ user, group }: Pick<Privileges, 'user' | 'group'>): FileOwner | null {
  if (process.geteuid?.() !== 0 || (user === undefined && group === undefined)) return null;
  const found = user === undefined ? null : resolveUser(user);
  const gid = group === undefined ? (found?.gid ?? null) : resolveGroup(group).gid;
  return { uid: found?.uid ?? null, gid };
}

/**
 * Gives the unix socket at `path` to `fileOwner()`. Whoever may write its folder could have put
 * something else there.
 *
 * @throws RyegateError `ERR_RYEGATE_PRIVILEGES` for an unknown name, or what is no socket; the
 *   system's error
 */
export function giveSocket(path: string, accounts: Pick<Privileges, 'user' | 'group'>): void {
  const owner = fileOwner(accounts);
  if (owner === null) return;
  const found = lstatSync(path);
  if (!found.isSocket() || found.nlink !== 1) {
    throw fault(
      `${showValue(path)} is no longer the socket that was bound, so it is given to nobody: ` +
        'have its folder owned by root',
    );
  }
  lchownSync(path, owner.uid ?? found.uid, owner.gid ?? found.gid);
}

/** The groups that root is in are given up in any case. */
function setGroups(gid: number, member: string | null): void {
  process.setgid?.(gid);
  if (member === null) process.setgroups?.([gid]);
  else (process as WithInitgroups).initgroups(member, gid);
}

function hasIds(uid: number | null, gid: number | null): boolean {
  const hasUser = uid === null || (process.getuid?.() === uid && process.geteuid?.() === uid);
  return hasUser && (gid === null || (process.getgid?.() === gid && process.getegid?.() === gid));
}

function verify(uid: number | null, gid: number | null): void {
  if (!hasIds(uid, gid)) throw fault('the system did not change the user and the group');
  if (uid === null || uid === 0) return;
  try {
    process.setuid?.(0);
  } catch {
    return;
  }
  throw fault(`as user ${uid} the process can become root again: take CAP_SETUID from it`);
}

function lacking(error: unknown, owner: ResolvedUser | null, gid: number | null): RyegateError {
  const who = [owner === null ? '' : `user ${owner.name ?? owner.uid}`, `group ${gid}`];
  return fault(
    `the process cannot become ${who.filter(Boolean).join(' and ')}: ` +
      `${(error as Error).message}; start it as root, or as that user without the option`,
    { cause: error },
  );
}

function fault(problem: string, options?: ErrorOptions): RyegateError {
  return new RyegateError('ERR_RYEGATE_PRIVILEGES', problem, options);
}
