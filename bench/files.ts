// `npm run bench:files`: what it costs to send a file, beside other servers. See README.md.
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { run } from './harness/main.ts';
import { output, whole } from './harness/options.ts';
import { processors } from './harness/processes.ts';
import { interleave } from './harness/rounds.ts';
import { takeSample } from './harness/sample.ts';
import { type Spread, short, showSpread } from './harness/statistics.ts';
import { type PairedSummary, type Sample, summarizePairs } from './harness/summary.ts';
import { table } from './harness/table.ts';
import {
  connectionsFor,
  LARGE,
  makeTestFolder,
  parseSize,
  type TestFile,
} from './harness/testfiles.ts';
import { drain } from './load/drain.ts';
import { type Load, runMeasured } from './load/load.ts';
import { warmUp } from './load/warmup.ts';
import { wrk } from './load/wrk.ts';
import { choosePeers, type Peer, type RunningServer, withServers } from './servers/index.ts';
import { checkTask, fileTask } from './workloads.ts';

/** What the others are compared with. */
const BASE = 'nginx';

interface Scenario {
  readonly file: TestFile;
  readonly connections: number;
  readonly load: Load;
}

const OPTIONS = {
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '3' },
  sizes: { type: 'string', default: '4k,64k,1m,100m' },
  connections: { type: 'string' },
  only: { type: 'string', default: 'ryegate,nginx,bun,node' },
  json: { type: 'string' },
} as const;

interface Settings {
  readonly rounds: number;
  readonly seconds: number;
  readonly sizes: readonly string[];
  readonly connections: readonly number[] | null;
  readonly only: readonly string[];
  readonly json: string | null;
}

function parseSettings(): Settings {
  const { values } = parseArgs({ options: OPTIONS });
  const connections = values.connections?.split(',').map((text) => whole('connections', text));
  return {
    rounds: whole('rounds', values.rounds),
    seconds: whole('seconds', values.seconds),
    sizes: values.sizes.split(','),
    connections: connections ?? null,
    only: values.only.split(','),
    json: output('json', values.json) ?? null,
  };
}

function scenarios(files: readonly TestFile[], settings: Settings): Scenario[] {
  return files.flatMap((file) =>
    (settings.connections ?? connectionsFor(file.bytes)).map((connections) => ({
      file,
      connections,
      // wrk reads 8 KiB at a time: with large files it would measure itself.
      load: file.bytes < LARGE ? wrk : drain,
    })),
  );
}

function measure(
  server: RunningServer,
  { file, connections, load }: Scenario,
  seconds: number,
): Promise<Sample> {
  return takeSample(server, () => runMeasured(load, { server, file, connections, seconds }));
}

const HEAD = [
  'server',
  'server us/request',
  'server + load',
  `of ${BASE}: server`,
  `of ${BASE}: server + load`,
  'requests/s',
  'load busy',
];

function show(scenario: Scenario, summaries: readonly PairedSummary[]): string {
  const ratio = (value?: Spread): string => (value ? showSpread(value) : '-');
  const rows = summaries.map((summary) => [
    summary.server,
    showSpread(summary.serverCost),
    showSpread(summary.sum),
    ratio(summary.ratios[BASE]?.server),
    ratio(summary.ratios[BASE]?.sum),
    short(summary.requestsPerSecond),
    `${Math.round(summary.loadBusy * 100)} %`,
  ]);
  const { file, connections, load } = scenario;
  return `${file.name}, ${connections} connections, by ${load.name}\n${table(HEAD, rows)}\n`;
}

/** The first server against each of the others. */
function showRatios([first]: readonly PairedSummary[]): string {
  const lines = Object.entries(first?.ratios ?? {}).map(
    ([other, { server, sum }]) =>
      `${first?.server} of ${other}: server ${showSpread(server)}, server + load ${showSpread(sum)}\n`,
  );
  return lines.join('');
}

async function compare(
  scenario: Scenario,
  servers: ReadonlyMap<Peer, RunningServer>,
  settings: Settings,
): Promise<{ samples: Record<string, Sample[]>; summary: PairedSummary[] }> {
  scenario.load.prepare();
  const of = (peer: Peer): RunningServer => servers.get(peer) as RunningServer;
  for (const peer of servers.keys()) {
    await checkTask(fileTask(scenario.file), peer.name, of(peer).port);
    await warmUp(of(peer), scenario.file);
  }
  const samples = await interleave([...servers.keys()], settings.rounds, (peer) =>
    measure(of(peer), scenario, settings.seconds),
  );
  const own = new Map([...samples].map(([peer, list]) => [peer.name, list]));
  const summary = summarizePairs(own);
  console.log(`${show(scenario, summary)}\n${showRatios(summary)}`);
  return { samples: Object.fromEntries(own), summary };
}

function describe(peers: readonly Peer[]): string[] {
  const pinned = processors === null ? 'not pinned' : 'server and load on a processor each';
  return [
    `Linux ${release()}, ${cpus().length} processors, ${pinned}`,
    ...peers.map((peer) => `${peer.name} ${peer.version()}: ${peer.description}`),
  ];
}

async function main(): Promise<void> {
  const settings = parseSettings();
  settings.sizes.forEach(parseSize);
  const peers = choosePeers(settings.only, 'file');
  const description = describe(peers);
  console.log(`${description.join('\n')}\n`);
  const folder = makeTestFolder(settings.sizes);
  const results = await withServers(peers, folder.root, async (servers) => {
    const all = [];
    for (const scenario of scenarios(folder.files, settings)) {
      const { file, connections, load } = scenario;
      const found = await compare(scenario, servers, settings);
      all.push({ file: file.name, bytes: file.bytes, connections, load: load.name, ...found });
    }
    return all;
  });
  if (settings.json === null) return;
  writeFileSync(settings.json, `${JSON.stringify({ description, settings, results }, null, 2)}\n`);
}

await run(main);
