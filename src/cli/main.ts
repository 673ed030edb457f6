#!/usr/bin/env node
import { RyegateError } from '../errors.ts';
import { standardError, standardErrorGone } from '../io/errorstream.ts';
import { startFolder } from '../supervisor/startfolder.ts';
import { VERSION } from '../version.ts';
import { FETCH_HELP, FETCH_TABLE, type FetchOptions } from './fetchoptions.ts';
import { isGiven } from './needs.ts';
import { HELP } from './options.ts';
import { prepare } from './prepare.ts';
import { renderConfig } from './printconfig.ts';
import { readSettings, type Settings, type Sources } from './settings.ts';
import { STATUS } from './status.ts';
import type { OptionTable } from './table/row.ts';
import { type Options, TABLE } from './table/table.ts';
import { UsageError } from './usageerror.ts';

function tell(text: string): void {
  standardError().write(`ryegate: ${text}\n`);
}

/** A line for each fault; gives the exit status. */
function fail(faults: readonly RyegateError[]): number {
  for (const { message } of faults) tell(message);
  return faults.some((fault) => fault instanceof UsageError) ? STATUS.usage : STATUS.failed;
}

/** As they are before anything is changed by options. */
function sourcesOf(argv: readonly string[], command: string): Sources {
  return { argv, env: { ...process.env }, folder: startFolder(), command };
}

async function read<Values extends Options>(
  table: OptionTable<Values>,
  sources: Sources,
): Promise<Settings<Values>> {
  const settings = await readSettings(table, sources);
  for (const warning of settings.warnings) tell(`warning: ${warning}`);
  return settings;
}

async function serveCommand(argv: readonly string[]): Promise<number> {
  const sources = sourcesOf(argv, 'ryegate');
  const settings = await read(TABLE, sources);
  const { values, faults } = settings;
  const isGood = faults.length === 0;
  if (isGood && (values.help || values.version)) return helpOrVersion(values, HELP);
  if (isGood && values.printConfig) process.stdout.write(renderConfig(TABLE, settings));
  if (values.checkConfig) return await check(settings);
  if (!isGood) return fail(faults);
  return values.printConfig ? 0 : await start(settings, sources);
}

function helpOrVersion({ help }: Options, text: string): number {
  process.stdout.write(help ? text : `ryegate ${VERSION}\n`);
  return 0;
}

async function check(settings: Settings<Options>): Promise<number> {
  const { values, effective } = settings;
  const faults = [...settings.faults];
  faults.push(...prepare(values, effective));
  const { checkNamed } = await import('./named.ts');
  const { checkStart } = await import('./check.ts');
  faults.push(...checkNamed(effective));
  faults.push(...(await checkStart(values, !isGiven(effective.get('bind')))));
  if (faults.length > 0) return fail(faults);
  process.stdout.write('ryegate: configuration ok\n');
  return 0;
}

/** Loaded only now, so that a missing addon is told as any other error. */
async function start(settings: Settings<Options>, sources: Sources): Promise<number> {
  const { start } = await import('./start.ts');
  const result = await start(settings, sources);
  return typeof result === 'number' ? result : fail(result);
}

async function fetchCommand(argv: readonly string[]): Promise<number> {
  const settings: Settings<FetchOptions> = await read(
    FETCH_TABLE,
    sourcesOf(argv, 'ryegate fetch'),
  );
  const { values, effective } = settings;
  if (settings.faults.length > 0) return fail(settings.faults);
  if (values.help || values.version) return helpOrVersion(values, FETCH_HELP);
  if (values.path === null) {
    const message = 'fetch needs the path of a request, such as /; see ryegate fetch --help';
    return fail([new UsageError(message)]);
  }
  const faults = prepare(values, effective);
  if (faults.length > 0) return fail(faults);
  const { fetchApplication } = await import('./fetch.ts');
  return await fetchApplication(values);
}

function main(): Promise<number> {
  const [command, ...rest] = process.argv.slice(2);
  return command === 'fetch' ? fetchCommand(rest) : serveCommand(process.argv.slice(2));
}

/** An application may hold the process open by timers and connections of its own. */
async function exit(status: number): Promise<never> {
  await standardErrorGone();
  process.exit(status);
}

main().then(exit, (error: unknown) => {
  if (!(error instanceof RyegateError)) throw error;
  return exit(fail([error]));
});
