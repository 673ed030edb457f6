#!/usr/bin/env node
import { RyegateError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { HELP, parseArguments } from './options.ts';
import { UsageError } from './usageerror.ts';

const FAILURE = 1;
const USAGE = 2;

async function main(): Promise<void> {
  const options = parseArguments(process.argv.slice(2));
  if (options.help) process.stdout.write(HELP);
  else if (options.version) process.stdout.write(`ryegate ${VERSION}\n`);
  else {
    // Loaded here, so that a missing addon is told as any other error.
    const { serve } = await import('./serve.ts');
    await serve(options);
  }
}

main().then(
  // An application may hold the process open by timers and connections of its own.
  () => process.exit(0),
  (error: unknown) => {
    if (!(error instanceof RyegateError)) throw error;
    process.stderr.write(`ryegate: ${error.message}\n`);
    process.exit(error instanceof UsageError ? USAGE : FAILURE);
  },
);
