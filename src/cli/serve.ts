import { constants } from 'node:os';
import { staticFiles } from '../files/index.ts';
import { standardError } from '../io/errorstream.ts';
import { formatAddress } from '../socketserver/index.ts';
import { type Application, demoApp, WSGIRequestHandler, WSGIServer } from '../wsgi/index.ts';
import type { BindAddress } from './bind.ts';
import { loadApplication } from './loadapplication.ts';
import type { Options } from './options.ts';

function makeServer(bind: BindAddress, application: Application, options: Options): WSGIServer {
  const address = bind.kind === 'inet' ? ([bind.host, bind.port] as const) : '';
  const server = new WSGIServer(bind.kind === 'unix' ? bind.path : address, WSGIRequestHandler, {
    selector: options.selector,
    limits: options.limits,
    timeouts: options.timeouts,
    inputBuffering: options.inputBuffering,
    sendfile: !options.noSendfile,
    logRequests: !options.quiet,
    fd: bind.kind === 'fd' ? bind.fd : null,
  });
  server.setApp(application);
  return server;
}

/** All or none: with one address taken, nobody is left half served. */
async function makeServers(application: Application, options: Options): Promise<WSGIServer[]> {
  const servers: WSGIServer[] = [];
  try {
    for (const bind of options.bind) servers.push(makeServer(bind, application, options));
  } catch (error) {
    await Promise.all(servers.map((server) => server.serverClose()));
    throw error;
  }
  return servers;
}

function announce(server: WSGIServer): void {
  const { serverAddress } = server;
  const address = formatAddress(serverAddress);
  const url = typeof serverAddress === 'string' ? address : `http://${address}`;
  standardError().write(`ryegate: listening on ${url} (${server.selectorName})\n`);
}

/** The first signal lets requests finish, the second does not. */
function closeOnSignals(servers: readonly WSGIServer[]): void {
  let again = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (again) process.exit(128 + constants.signals[signal]);
      again = true;
      for (const server of servers) server.serverClose();
    });
  }
}

/** Folders come before the application. */
async function makeApplication(options: Options): Promise<Application> {
  const { application: target, listing } = options;
  let next: Application | undefined = options.static.length === 0 ? demoApp : undefined;
  if (target !== null) next = await loadApplication(target, process.cwd());
  // Each passes on what it does not find, so the first one is made last.
  for (const { prefix, folder } of options.static.toReversed()) {
    next = staticFiles(folder, { prefix, listing, next });
  }
  return next as Application;
}

/** Serves until a signal ends it. */
export async function serve(options: Options): Promise<void> {
  const application = await makeApplication(options);
  const servers = await makeServers(application, options);
  closeOnSignals(servers);
  const serving = servers.map((server) => server.serveForever(options.pollInterval));
  for (const server of servers) announce(server);
  await Promise.all(serving);
  await Promise.all(servers.map((server) => server.serverClose()));
}
