// `npm run bench:threads`: what it costs to give threads their work, and what they are good for.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ThreadPool, type ThreadPoolOptions } from '../dist/index.js';
import { run } from './harness/main.ts';
import { BenchError } from './harness/processes.ts';
import { interleave } from './harness/rounds.ts';
import { pairedRatio, showSpread, spread } from './harness/statistics.ts';
import { table } from './harness/table.ts';
import type { Workload } from './harness/workload.ts';
import { blast } from './load/blast.ts';
import type { LoadResult } from './load/load.ts';
import { program } from './paths.ts';
import { work } from './programs/threadapp.ts';

const WAYS: readonly (readonly [string, Partial<ThreadPoolOptions>])[] = [
  ['shared listener', {}],
  ['a listener each', { server: { allowReusePort: true } }],
  ['acceptor', { mode: 'acceptor' }],
  ['shared listener, blocking', { blocking: true }],
  ['a listener each, blocking', { blocking: true, server: { allowReusePort: true } }],
  ['acceptor, blocking', { mode: 'acceptor', blocking: true }],
];
/** Those whose handlers take 10 ms of CPU time, on one thread and on two. */
const WORKING = ['shared listener', 'a listener each', 'acceptor'];

const KEPT = 64;
const CLOSED = 16;
/** Connections of the clients of handlers that take 10 ms. */
const WAITING = 16;
/** Milliseconds. */
const WORK = 10;

interface Subject {
  readonly way: string;
  readonly pool: ThreadPool;
}

function load(connections: number, close: boolean): Workload {
  const fields = ['GET / HTTP/1.1', 'Host: localhost', ...(close ? ['Connection: close'] : [])];
  const request = Buffer.from([...fields, '', ''].join('\r\n'));
  const name = close ? 'close' : 'kept';
  return {
    name,
    title: name,
    route: 'hello',
    request,
    connections,
    pipelined: 1,
    close,
    varied: null,
  };
}

async function start(
  [way, options]: (typeof WAYS)[number],
  exported: string,
  threads: number,
): Promise<Subject> {
  const application = `${program('threadapp')}:${exported}`;
  const pool = new ThreadPool(['127.0.0.1', 0], { application, min: threads, ...options });
  await pool.start();
  return { way, pool };
}

function request({ pool }: Subject, workload: Workload, seconds: number): Promise<LoadResult> {
  const port = pool.serverAddress[1] as number;
  const server = { origin: '', port, pids: [], stop: async () => {} };
  return blast.run({ server, workload, seconds });
}

interface Cost {
  /** Microseconds of CPU time of all threads for one request. */
  readonly cost: number;
  /** The part of the connections that the busiest of two threads had: 0.5 is fair. */
  readonly busiest: number;
}

function busiest(counts: readonly number[]): number {
  return Math.max(...counts) / counts.reduce((sum, count) => sum + count, 0);
}

async function measure(subject: Subject, workload: Workload, seconds: number): Promise<Cost> {
  const { pool } = subject;
  const accepted = (): number[] => pool.stats().threads.map((thread) => thread.accepted);
  const acceptedBefore = accepted();
  const before = process.cpuUsage();
  const running = request(subject, workload, seconds);
  await sleep(seconds * 500);
  const open = pool.stats().threads.map(({ connections }) => connections);
  const { requests } = await running;
  const { user, system } = process.cpuUsage(before);
  const taken = accepted().map((count, i) => count - (acceptedBefore[i] ?? 0));
  return { cost: (user + system) / requests, busiest: busiest(workload.close ? taken : open) };
}

async function compareWays(rounds: number, seconds: number): Promise<void> {
  const subjects: Subject[] = [];
  for (const way of WAYS) subjects.push(await start(way, 'hello', 2));
  for (const workload of [load(KEPT, false), load(CLOSED, true)]) {
    for (const subject of subjects) await request(subject, workload, 1);
    const samples = await interleave(subjects, rounds, (subject) =>
      measure(subject, workload, seconds),
    );
    const base = (samples.get(subjects[0] as Subject) as Cost[]).map(({ cost }) => cost);
    const rows = [...samples].map(([{ way }, list]) => {
      const costs = list.map(({ cost }) => cost);
      const shares = list.map((sample) => sample.busiest);
      const shown = [spread(costs), pairedRatio(costs, base), spread(shares)].map(showSpread);
      return [way, ...shown];
    });
    const what = workload.close
      ? `A connection per request, ${CLOSED} at a time`
      : `${KEPT} connections that are kept`;
    const head = ['two threads', 'us/request', 'of the first', "busiest thread's part"];
    console.log(`${what}:\n\n${table(head, rows)}\n`);
  }
  for (const { pool } of subjects) await pool.stop();
}

/** How many rounds of work take so many milliseconds: by the quickest of some tries. */
function roundsOf(milliseconds: number): number {
  const rounds = 1_000_000;
  const times = Array.from({ length: 50 }, () => {
    const begun = performance.now();
    work(rounds);
    return performance.now() - begun;
  });
  return Math.round((rounds * milliseconds) / Math.min(...times));
}

/** How much more two threads do than one, where handlers take 10 ms of CPU time. */
async function compareThreads(rounds: number, seconds: number): Promise<void> {
  const rows: string[][] = [];
  process.env.RYEGATE_BENCH_ROUNDS = `${roundsOf(WORK)}`;
  for (const way of WAYS.filter(([name]) => WORKING.includes(name))) {
    const subjects = [await start(way, 'cpu', 1), await start(way, 'cpu', 2)];
    for (const workload of [load(WAITING, false), load(WAITING, true)]) {
      const samples = await interleave(subjects, rounds, async (subject) => {
        const done = await request(subject, workload, seconds);
        return done.requests / done.seconds;
      });
      const [one = [], two = []] = samples.values();
      const shown = [spread(one), spread(two), pairedRatio(two, one)].map(showSpread);
      rows.push([way[0], workload.name, ...shown]);
    }
    for (const { pool } of subjects) await pool.stop();
  }
  const head = ['10 ms of CPU time', 'connections', 'requests/s, one thread', 'two', 'ratio'];
  console.log(table(head, rows));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '7' },
      seconds: { type: 'string', default: '1' },
      only: { type: 'string', default: 'costs,work' },
    },
  });
  const parts: Record<string, typeof compareWays> = { costs: compareWays, work: compareThreads };
  const wanted = values.only.split(',').map((name) => {
    const part = parts[name];
    if (part === undefined) throw new BenchError(`no part ${name}: there are costs and work`);
    return part;
  });
  blast.prepare();
  for (const part of wanted) await part(Number(values.rounds), Number(values.seconds));
}

await run(main);
