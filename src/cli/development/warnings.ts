import { isIPv4 } from 'node:net';
import { formatAddress, type ServerAddress } from '../../socketserver/index.ts';
import type { Logs } from '../logs.ts';
import type { Options } from '../table/table.ts';

/** Whoever has files watched develops: even an application that does not load is shown then. */
export function isDevelopment({ development, reload }: Options): boolean {
  return development || reload;
}

/** Warns whoever might have it run elsewhere than at a desk. */
export function warnOfDevelopment(addresses: readonly ServerAddress[], logs: Logs): void {
  const tell = (text: string): void => logs.tell('warning', `warning: ${text}`);
  tell('this is for development, as errors show sources to whoever connects; not for production');
  for (const address of addresses) {
    if (isLocal(address)) continue;
    const where = formatAddress(address);
    tell(`${where} can be reached by others, who see these errors as well; 127.0.0.1 cannot`);
  }
}

function isLocal(address: ServerAddress): boolean {
  if (typeof address === 'string') return true;
  const [host] = address;
  return host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
