import { type BigIntStats, lstatSync, unlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { formatURL, isSocketFile, type ServerAddress } from '../reactor/address.ts';
import { dropPrivileges, type Notifier, type PidFile } from '../supervisor/index.ts';
import { giveSocket } from '../supervisor/privileges.ts';
import { isDevelopment, warnOfDevelopment } from './development/warnings.ts';
import { accountsOf, type Logs } from './logs.ts';
import type { ListeningAddress } from './servers.ts';
import { STATUS } from './status.ts';
import type { Options } from './table/table.ts';

// What a process does around its serving, be it by its main thread or by others.

/** Becomes the user that is asked for, once the addresses are bound. */
export function becomeUser(options: Options, addresses: readonly ServerAddress[]): void {
  const accounts = accountsOf(options);
  for (const address of addresses) if (isSocketFile(address)) giveSocket(address, accounts);
  dropPrivileges(accounts);
}

/**
 * Has the pid file and the socket files removed when the process ends without closing, as by a
 * second signal. To be called when the files have their owners.
 */
export function removeAtExit(
  addresses: readonly ListeningAddress[],
  pidFile: PidFile | null,
): void {
  const removals = addresses.flatMap((address) => {
    const isFile = address.kind === 'unix' && isSocketFile(address.path);
    return isFile ? [fileRemoval(resolve(address.path))] : [];
  });
  process.on('exit', () => {
    pidFile?.unlink();
    for (const remove of removals) remove();
  });
}

/** The number of a file that is gone may be that of another server's: the time tells them apart. */
function fileRemoval(path: string): () => void {
  const look = (): BigIntStats | undefined =>
    lstatSync(path, { bigint: true, throwIfNoEntry: false });
  const made = look();
  return () => {
    try {
      const found = look();
      if (found === undefined || found.ino !== made?.ino || found.ctimeNs !== made.ctimeNs) return;
      unlinkSync(path);
    } catch {
      // Who has given up root's rights may have lost this one. The next server replaces the file.
    }
  };
}

interface Service {
  readonly options: Options;
  readonly logs: Logs;
  readonly notifier: Notifier;
}

/** Tells the operator and the service manager that clients are served; `hint`: how. */
export function announce(
  addresses: readonly ServerAddress[],
  hint: string,
  { options, logs, notifier }: Service,
): void {
  const forDevelopment = isDevelopment(options);
  if (forDevelopment) warnOfDevelopment(addresses, logs);
  const urls = addresses.map(formatURL);
  const how = forDevelopment ? 'quit with Ctrl-C' : hint;
  for (const url of urls) logs.tell('info', `listening on ${url} (${how})`);
  notifier.ready();
  notifier.status(`serving on ${urls.join(', ')}`);
}

/** The exit status of who has drained its servers; tells of connections that were broken off. */
export function statusAfter(
  summaries: readonly { readonly aborted: number }[],
  logs: Pick<Logs, 'tell'>,
): number {
  const aborted = summaries.reduce((sum, summary) => sum + summary.aborted, 0);
  if (aborted === 0) return STATUS.stopped;
  logs.tell('error', `stopped; ${aborted} connections had not finished in time`);
  return STATUS.aborted;
}
