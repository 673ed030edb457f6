import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningServer } from '../servers/index.ts';
import { BenchError, Child, isInstalled } from './processes.ts';

/** How often each system call was made. */
export type SyscallCounts = Readonly<Record<string, number>>;

export function requireStrace(): void {
  if (isInstalled('strace')) return;
  throw new BenchError('strace is not installed (Debian: apt-get install strace)');
}

/** Reads the table of `strace -c -U calls,name`. */
function parse(summary: string): SyscallCounts {
  const rows = summary.matchAll(/^ *(\d+) +(\w+)$/gm);
  return Object.fromEntries(
    [...rows]
      .filter(([, , name]) => name !== 'total')
      .map(([, calls, name]) => [name, +`${calls}`]),
  );
}

/** The system calls of all threads of a server while `action` runs. */
export async function countSyscalls(
  server: RunningServer,
  action: () => Promise<unknown>,
): Promise<SyscallCounts> {
  const processes = server.pids.flatMap((pid) => ['-p', `${pid}`]);
  const strace = new Child('free', 'strace', ['-f', '-c', '-U', 'calls,name', ...processes]);
  await strace.says(/attached/, 'stderr');
  // Attaching interrupts what every thread waits in; it has to have begun waiting again.
  await sleep(300);
  await action();
  await strace.stop('SIGINT');
  return parse(strace.stderr);
}

/**
 * How many system calls a server makes while `action` runs, by the kernel's own counter: strace
 * slows a server down, which then finds more to do each time it looks. Null without perf.
 */
export async function countTotal(
  server: RunningServer,
  action: () => Promise<unknown>,
): Promise<number | null> {
  if (!isInstalled('perf')) return null;
  const args = ['stat', '-x,', '-e', 'raw_syscalls:sys_enter', '-p', server.pids.join(',')];
  const perf = new Child('free', 'perf', args);
  // It does not say when it has begun.
  await sleep(300);
  await action();
  await perf.stop('SIGINT');
  const [, count] = /^(\d+),.*raw_syscalls/m.exec(perf.stderr) ?? [];
  return count === undefined ? null : Number(count);
}

/** What was counted beyond an idle server's calls in as much time. */
export function beyondIdle(counts: SyscallCounts, idle: SyscallCounts): SyscallCounts {
  return Object.fromEntries(
    Object.entries(counts)
      .map(([name, calls]) => [name, calls - (idle[name] ?? 0)] as const)
      .filter(([, calls]) => calls > 0),
  );
}
