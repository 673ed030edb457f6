import type { BindAddress } from '../supervisor/index.ts';
import { type ListeningAddress, serverAddress } from './servers.ts';
import type { Options } from './table/table.ts';

/** What is served, and where; a supervisor gets another one at a reload. */
export interface Plan {
  readonly options: Options;
  readonly addresses: readonly ListeningAddress[];
}

/** An address as a supervisor takes it. */
export function bindAddress(address: ListeningAddress): BindAddress {
  return address.kind === 'fd' ? { fd: address.fd } : serverAddress(address);
}
