import { type CProgram, compile } from '../harness/compile.ts';
import { Child } from '../harness/processes.ts';

/** Runs a load generator that reads the bytes of a request and prints a line of JSON. */
export async function generate<Result>(
  program: CProgram,
  args: readonly string[],
  request: Buffer,
): Promise<Result> {
  const child = new Child('load', compile(program), [...args, '-']);
  // Where it fails before it has read them, its status says so.
  child.process.stdin?.on('error', () => {}).end(request);
  await child.succeeds();
  return JSON.parse(child.stdout);
}
