import { type CProgram, compile } from '../harness/compile.ts';
import { Child } from '../harness/processes.ts';

/**
 * Runs a load generator that reads the bytes of a request and prints a line of JSON. `server`: its
 * port, or what else tells the generator about it.
 */
export async function generate<Result>(
  program: CProgram,
  options: readonly string[],
  server: number | string,
  request: Buffer,
): Promise<Result> {
  const child = new Child('load', compile(program), [...options, `${server}`, '-']);
  // Where it fails before it has read them, its status says so.
  child.process.stdin?.on('error', () => {}).end(request);
  await child.succeeds();
  return JSON.parse(child.stdout);
}
