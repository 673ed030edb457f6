import { RyegateError } from '../errors.ts';
import type { ServerAddress } from '../reactor/address.ts';
import type { DrainOptions, DrainSummary } from '../reactor/drain.ts';
import type { ServeOptions } from '../socketserver/index.ts';
import type { ListenDescriptor, WorkerServerOptions } from '../supervisor/index.ts';
import { WSGIRequestHandler, WSGIServer } from '../wsgi/index.ts';
import type { BindAddress } from './bind.ts';
import { DevelopmentRequestHandler } from './development/handler.ts';
import { isDevelopment } from './development/warnings.ts';
import type { Logs } from './logs.ts';
import type { Options } from './table/table.ts';

/** The options of a server that are the same for all addresses, but for its logs. */
export function serverOptions(options: Options): WorkerServerOptions {
  const { keepAlive, timeouts } = options;
  return {
    selector: options.selector,
    limits: options.limits,
    timeouts: keepAlive === null ? timeouts : { ...timeouts, keepAlive },
    inputBuffering: options.inputBuffering,
    sendfile: options.sendfile,
    serverField: options.serverHeader,
    requestQueueSize: options.backlog,
    allowReusePort: options.reusePort,
    socketMode: options.socketMode,
  };
}

/** One for which a server is made. */
export type ListeningAddress = Exclude<BindAddress, { kind: 'systemd' }>;

/** Empty for a descriptor, whose address is its own. */
export function serverAddress(address: ListeningAddress): ServerAddress {
  if (address.kind === 'fd') return '';
  return address.kind === 'unix' ? address.path : [address.host, address.port];
}

/**
 * What systemd has passed stands where it is asked for, and in place of the default, if no address
 * was given (`isDefault`).
 *
 * @throws RyegateError `ERR_RYEGATE_SYSTEMD` when it has not passed what is asked for
 */
export function listeningAddresses(
  bind: readonly BindAddress[],
  isDefault: boolean,
  passed: readonly ListenDescriptor[],
): ListeningAddress[] {
  if (isDefault && passed.length > 0) return passed.map(asAddress);
  return bind.flatMap((address): ListeningAddress[] => {
    if (address.kind !== 'systemd') return [address];
    const { name } = address;
    const found = passed.filter((descriptor) => name === null || descriptor.name === name);
    if (found.length === 0) throw notPassed(name, passed);
    return found.map(asAddress);
  });
}

function asAddress({ fd }: ListenDescriptor): ListeningAddress {
  return { kind: 'fd', fd };
}

function notPassed(name: string | null, passed: readonly ListenDescriptor[]): RyegateError {
  const names = passed.map((descriptor) => descriptor.name).join(', ');
  return new RyegateError(
    'ERR_RYEGATE_SYSTEMD',
    `--bind systemd${name === null ? '' : `:${name}`}: systemd has passed ` +
      `${names === '' ? 'no sockets' : names}; start it by its socket unit, or give an address`,
  );
}

export function handlerClass(options: Options): typeof WSGIRequestHandler {
  return isDevelopment(options) ? DevelopmentRequestHandler : WSGIRequestHandler;
}

/** A server that is bound and listens; its application is still to be set. */
export function makeServer(bind: ListeningAddress, options: Options, logs: Logs): WSGIServer {
  class Server extends WSGIServer {
    static override closeTimeout: number = options.gracefulTimeout;

    // Called by whoever runs workers, who does not know of it.
    override start(pollInterval = options.pollInterval, serve?: ServeOptions): Promise<void> {
      return super.start(pollInterval, serve);
    }

    override logNotice(notice: RyegateError): void {
      if (logs.wants('warning')) super.logNotice(notice);
    }

    override drain(times: DrainOptions = {}): Promise<DrainSummary> {
      // Whoever saves a file and looks at it wants no answers of the old code over old connections.
      return super.drain(options.reload ? { ...times, grace: undefined } : times);
    }
  }
  return new Server(serverAddress(bind), handlerClass(options), {
    ...serverOptions(options),
    ...logs.options,
    fd: bind.kind === 'fd' ? bind.fd : null,
  });
}

/** All or none: with one address taken, nobody is left half served. */
export async function makeServers(
  addresses: readonly ListeningAddress[],
  options: Options,
  logs: Logs,
): Promise<WSGIServer[]> {
  const servers: WSGIServer[] = [];
  try {
    for (const address of addresses) servers.push(makeServer(address, options, logs));
  } catch (error) {
    await Promise.all(servers.map((server) => server.serverClose()));
    throw error;
  }
  return servers;
}
