import type { RyegateError } from '../errors.ts';
import { readArguments } from './arguments.ts';
import { ConfigError } from './configerror.ts';
import { findConfig, loadConfig, readConfig } from './configfile.ts';
import { readVariables } from './envfile.ts';
import { type Environment, readEnvironment } from './environment.ts';
import { type Combined, combine, Layer } from './layers.ts';
import { missingNeeds } from './needs.ts';
import type { ApplicationOptions } from './table/application.ts';
import type { GeneralOptions } from './table/general.ts';
import type { OptionTable } from './table/row.ts';

/** Options that say where others come from. */
type Needed = GeneralOptions & Pick<ApplicationOptions, 'envFile'>;

/** Where options come from. */
export interface Sources {
  readonly argv: readonly string[];
  readonly env: Environment;
  /** Where the config module is looked for. */
  readonly folder: string;
  /** How the command is called, for errors. */
  readonly command: string;
}

/** All that was read, and all that is wrong with it. */
export interface Settings<Values> extends Omit<Combined<Values>, 'faults'> {
  readonly faults: readonly RyegateError[];
  readonly warnings: readonly string[];
}

/** The command line counts most, then the environment, the config module, and the defaults. */
export async function readSettings<Values extends Needed>(
  table: OptionTable<Values>,
  { argv, env, folder, command }: Sources,
): Promise<Settings<Values>> {
  const line = readArguments(table, argv, command);
  const asked = combine(table, [line.layer]);
  const { help, version } = asked.values;
  if ((help || version) && line.faults.length + asked.faults.length === 0) {
    return { ...asked, warnings: [] };
  }
  const { layer, warnings } = readEnvironment(table, withFiles(table, line.layer, env, folder));
  const { config, noConfig } = combine(table, [layer, line.layer]).values;
  const isAskedFor = asked.values.config !== null || !noConfig;
  const path = isAskedFor ? findConfig(config, folder) : null;
  const module = path === null ? NO_MODULE : await readModule(table, path);
  const combined = combine(table, [module.layer, layer, line.layer]);
  const faults: RyegateError[] = [...line.faults, ...module.faults, ...combined.faults];
  return { ...combined, warnings, faults: [...faults, ...missingNeeds(table, combined)] };
}

/** The environment with what the files of `--env-file` add to it; a faulty one is told later. */
function withFiles<Values extends Needed>(
  table: OptionTable<Values>,
  line: Layer,
  env: Environment,
  folder: string,
): Environment {
  const variables: NodeJS.Dict<string> = {};
  const { envFile } = combine(table, [readEnvironment(table, env).layer, line]).values;
  for (const file of envFile) readVariables(file, folder, variables);
  return { ...variables, ...env };
}

interface ModuleLayer {
  readonly layer: Layer;
  readonly faults: readonly RyegateError[];
}

const NO_MODULE: ModuleLayer = { layer: new Layer(), faults: [] };

async function readModule(table: OptionTable<unknown>, path: string): Promise<ModuleLayer> {
  try {
    return readConfig(table, await loadConfig(path), path);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { layer: new Layer(), faults: [error] };
  }
}
