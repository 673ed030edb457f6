import { BenchError } from '../harness/processes.ts';
import { bun } from './bun.ts';
import { nginx } from './nginx.ts';
import { nodeHTTP } from './nodehttp.ts';
import { ryegatePeers } from './ryegate.ts';
import type { Peer, RunningServer } from './server.ts';

export type { Peer, RunningServer } from './server.ts';

const peers: readonly Peer[] = [...ryegatePeers, nginx, bun, nodeHTTP];

/** The peers with these names that can run here. Says of the others why they are left out. */
export function choosePeers(names: readonly string[]): Peer[] {
  const chosen = names.flatMap((name) => {
    const peer = peers.find((candidate) => candidate.name === name);
    if (peer === undefined) {
      const known = peers.map((candidate) => candidate.name).join(', ');
      throw new BenchError(`no server ${name}: there are ${known}`);
    }
    const missing = peer.missing();
    if (missing === null) return [peer];
    console.log(`SKIPPED ${name}: ${missing}`);
    return [];
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
