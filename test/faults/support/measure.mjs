// What /proc says about a process, and statistics of what was measured.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds in a tick of /proc/PID/stat: Linux shows all architectures 100 a second. */
const TICK = 10;

/** CPU time that a process has used so far, in milliseconds. */
export function cpuTime(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name of the program, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK;
}

/** The share of one processor that a process uses within so many milliseconds, in per cent. */
export async function cpuShare(pid, milliseconds) {
  const before = cpuTime(pid);
  const began = performance.now();
  await sleep(milliseconds);
  return (100 * (cpuTime(pid) - before)) / (performance.now() - began);
}

/**
 * How long the main thread of a process has run, and has waited for a processor that others had, in
 * milliseconds. Both 0 where the kernel does not count.
 */
function scheduling(pid) {
  const path = `/proc/${pid}/schedstat`;
  const [ran, waited] = (existsSync(path) ? readFileSync(path, 'latin1') : '0 0').split(' ');
  return { ran: Number(ran) / 1e6, waited: Number(waited) / 1e6 };
}

/**
 * Returns a function that gives a figure of how the process has fared since: on a machine that
 * others use as well, it tells their part of a time from the server's.
 */
export function watchScheduling(pid) {
  const before = scheduling(pid);
  return () => {
    const { ran, waited } = scheduling(pid);
    const spans = [ran - before.ran, waited - before.waited].map((time) => time.toFixed(0));
    return [`server ran ${spans[0]} ms, waited ${spans[1]} ms for a processor`, true];
  };
}

/** Resident memory of a process, in KiB. */
export function residentMemory(pid) {
  const match = /^VmRSS:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return Number(match[1]);
}

/** The same, where memory that is shared with others counts in part. */
export function proportionalMemory(pid) {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  return Number(/^Pss:\s+([0-9]+) kB$/m.exec(rollup)[1]);
}

export function countDescriptors(pid) {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** The value below which so much (0 to 1) of the sample lies. */
export function quantile(sample, share) {
  const sorted = Float64Array.from(sample).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

export function median(sample) {
  return quantile(sample, 0.5);
}

/** Waits until `condition`, which may be async, holds; throws after so many milliseconds. */
export async function eventually(condition, what, milliseconds = 10_000) {
  const deadline = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${milliseconds} ms until ${what}`);
    await sleep(10);
  }
}

/** Fails a wait that lasts too long. */
export async function bounded(wait, what, milliseconds = 10_000) {
  let timer;
  const late = new Promise((_, reject) => {
    const message = `waited ${milliseconds} ms for ${what}`;
    timer = setTimeout(() => reject(new Error(message)), milliseconds);
  });
  try {
    return await Promise.race([wait, late]);
  } finally {
    clearTimeout(timer);
  }
}
