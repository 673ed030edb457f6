// `npm run bench:syscalls`: how many system calls a request takes. See README.md.
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { run } from './harness/main.ts';
import {
  beyondIdle,
  countSyscalls,
  countTotal,
  requireStrace,
  type SyscallCounts,
} from './harness/syscalls.ts';
import { table } from './harness/table.ts';
import { makeTestFolder, type TestFile } from './harness/testfiles.ts';
import { Requests } from './load/drain.ts';
import { warmUp } from './load/warmup.ts';
import { choosePeers, type Peer, type RunningServer, withServers } from './servers/index.ts';
import { checkTask, fileTask } from './workloads.ts';

interface Scenario {
  readonly size: string;
  readonly connections: number;
  readonly requests: number;
}

const SCENARIOS: readonly Scenario[] = [
  { size: '4k', connections: 1, requests: 200 },
  { size: '4k', connections: 64, requests: 64 * 50 },
  { size: '1m', connections: 1, requests: 200 },
  { size: '1m', connections: 16, requests: 16 * 20 },
];

interface Count extends Scenario {
  readonly server: string;
  readonly perRequest: SyscallCounts;
  readonly total: number;
  readonly untraced: number | null;
}

interface Counted {
  /** Beyond those of an idle server in the same time. */
  readonly traced: SyscallCounts;
  readonly untraced: number | null;
}

type Counter<Result> = (server: RunningServer, action: () => Promise<unknown>) => Promise<Result>;

async function count(
  server: RunningServer,
  file: TestFile,
  { connections, requests }: Scenario,
): Promise<Counted> {
  let seconds = 0;
  const watch = async <Result>(counter: Counter<Result>): Promise<Result> => {
    const clients = new Requests(server, file, connections, requests);
    await clients.connected();
    // The server has to have accepted them all before it is watched.
    await sleep(200);
    const result = await counter(server, async () => {
      ({ seconds } = await clients.run());
    });
    await clients.disconnect();
    return result;
  };
  const untraced = await watch(countTotal);
  const traced = await watch(countSyscalls);
  const idle = await countSyscalls(server, () => sleep(seconds * 1000));
  return { traced: beyondIdle(traced, idle), untraced };
}

async function measure(
  peer: Peer,
  server: RunningServer,
  file: TestFile,
  scenario: Scenario,
): Promise<Count> {
  const { requests } = scenario;
  await checkTask(fileTask(file), peer.name, server.port);
  await warmUp(server, file);
  const { traced, untraced } = await count(server, file, scenario);
  const counts = Object.entries(traced);
  return {
    ...scenario,
    server: peer.name,
    perRequest: Object.fromEntries(counts.map(([name, calls]) => [name, calls / requests])),
    total: counts.reduce((sum, [, calls]) => sum + calls, 0) / requests,
    untraced: untraced === null ? null : untraced / requests,
  };
}

function show(counts: readonly Count[]): string {
  const rows = counts.map(({ size, connections, requests, server, ...found }) => [
    size,
    `${connections}`,
    `${requests}`,
    server,
    found.untraced?.toFixed(2) ?? '-',
    found.total.toFixed(2),
    Object.entries(found.perRequest)
      .sort(([, a], [, b]) => b - a)
      .map(([name, calls]) => `${name} ${calls.toFixed(calls < 0.1 ? 3 : 2)}`)
      .join(', '),
  ]);
  const head = [
    'file',
    'connections',
    'requests',
    'server',
    'calls/request',
    'by strace',
    'by name',
  ];
  return table(head, rows);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: 'ryegate,ryegate-sync' },
      json: { type: 'string' },
    },
  });
  requireStrace();
  const peers = choosePeers(values.only.split(','), 'file');
  const folder = makeTestFolder([...new Set(SCENARIOS.map(({ size }) => size))]);
  const counts = await withServers(peers, folder.root, async (servers) => {
    const all: Count[] = [];
    for (const scenario of SCENARIOS) {
      const file = folder.files.find(({ name }) => name === scenario.size) as TestFile;
      for (const [peer, server] of servers) {
        all.push(await measure(peer, server, file, scenario));
      }
    }
    return all;
  });
  console.log(show(counts));
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify(counts, null, 2)}\n`);
  }
}

await run(main);
