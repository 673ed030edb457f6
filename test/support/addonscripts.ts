import { programStarter } from './programs.ts';

const addon =
  process.env.RYEGATE_NATIVE ??
  new URL('../../build/Release/ryegate.node', import.meta.url).pathname;

/** What makes the addon known as `native` to a script. */
export const withAddon: string = `const native = require(${JSON.stringify(addon)});`;

/**
 * A function that runs scripts that find `native`, to their end, and gives how each ended and what
 * it printed. With arguments it runs them under strace(1).
 */
export function scriptRunner(): (source: string, strace?: readonly string[]) => Promise<string> {
  const start = programStarter();
  return async (source, strace = []) => {
    const node = [process.execPath, '--expose-gc', '--eval', `${withAddon}\n${source}`];
    const traced = strace.length > 0 ? ['strace', '-f', '-qq', ...strace] : [];
    const [command, ...args] = [...traced, ...node];
    const program = start(command as string, args, { env: process.env });
    const [code, signal] = await program.exit;
    return `${signal ?? code} ${program.stdout}${program.stderr}`.trim();
  };
}

/** Arguments of strace(1) that have system calls fail, such as `openat2:error=ENOSYS`. */
export function inject(...faults: readonly string[]): string[] {
  return ['-o', '/dev/null', ...faults.flatMap((fault) => ['-e', `inject=${fault}`])];
}
