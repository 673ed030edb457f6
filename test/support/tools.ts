import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What the sanitizers' run puts into every process is not for programs of others: curl hangs. */
const { LD_PRELOAD: _, ...env } = process.env;
export const toolEnv: NodeJS.ProcessEnv = env;

/** Throws, with the command that mends it, when a tool is missing; `name` is that of its package. */
export function requireTool(tool: string, ask: string, name = tool): void {
  try {
    execFileSync(tool, [ask], { env: toolEnv, stdio: 'ignore', timeout: 10_000 });
  } catch (error) {
    // wrk tells its version with status 1.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return;
    throw new Error(`${tool} is missing: install it with \`apt-get install -y ${name}\``);
  }
}

/** Runs a tool to its end, which has to come within a minute and be a success. */
export function runTool(
  tool: string,
  ...args: string[]
): Promise<{ stdout: string; stderr: string }> {
  return run(tool, args, { env: toolEnv, timeout: 60_000, encoding: 'utf8' });
}
