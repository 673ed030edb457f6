import { BenchError } from '../harness/processes.ts';
import type { Route } from '../harness/workload.ts';
import { frameworks } from './frameworks.ts';
import { nginx } from './nginx.ts';
import { nodeHTTP } from './nodehttp.ts';
import { pythonPeers } from './python.ts';
import { runtimes } from './runtimes.ts';
import { ryegatePeers } from './ryegate.ts';
import type { Peer, RunningServer } from './server.ts';
import { uws } from './uws.ts';

export type { Peer, RunningServer } from './server.ts';

export const peers: readonly Peer[] = [
  ...ryegatePeers,
  nginx,
  uws,
  ...runtimes,
  nodeHTTP,
  ...frameworks,
  ...pythonPeers,
];

/** The peer with this name. */
function peerNamed(name: string): Peer {
  const peer = peers.find((candidate) => candidate.name === name);
  if (peer !== undefined) return peer;
  const known = peers.map((candidate) => candidate.name).join(', ');
  throw new BenchError(`no server ${name}: there are ${known}`);
}

/**
 * The peers with these names that can run here, and that answer the route if one is given. Says of
 * the others why they are left out.
 */
export function choosePeers(names: readonly string[], route?: Route): Peer[] {
  const chosen = names.map(peerNamed).filter((peer) => {
    const answers = route === undefined || peer.routes.has(route);
    const reason = answers ? peer.missing() : `it does not answer the route ${route}`;
    if (reason !== null) console.log(`SKIPPED ${peer.name}: ${reason}`);
    return reason === null;
  });
  if (chosen.length === 0) throw new BenchError('there is no server to measure');
  return chosen;
}

/** Runs `action` while all `chosen` serve the folder `root`. */
export async function withServers<Result>(
  chosen: readonly Peer[],
  root: string,
  action: (servers: ReadonlyMap<Peer, RunningServer>) => Promise<Result>,
): Promise<Result> {
  const servers = new Map<Peer, RunningServer>();
  try {
    for (const peer of chosen) servers.set(peer, await peer.start(root));
    return await action(servers);
  } finally {
    await Promise.all([...servers.values()].map((server) => server.stop()));
  }
}
