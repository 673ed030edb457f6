import { BenchError } from './processes.ts';

/** A mistake in the arguments, or something that is missing: its message says all. */
function isExplained(error: unknown): error is Error {
  if (error instanceof BenchError) return true;
  return error instanceof Error && /^ERR_PARSE_ARGS/.test((error as { code?: string }).code ?? '');
}

/** Runs a program of this folder; its exit status is 1 when it fails. */
export async function run(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    console.error(isExplained(error) ? error.message : error);
    process.exitCode = 1;
  }
}
