import { existsSync } from 'node:fs';
import type { RyegateError } from '../errors.ts';
import { listenDescriptors } from '../supervisor/index.ts';
import { ConfigError } from './configerror.ts';
import type { Environment } from './environment.ts';
import { checkNamed } from './named.ts';
import { isGiven } from './needs.ts';
import type { Plan } from './plan.ts';
import { prepare } from './prepare.ts';
import { serveReloading } from './reload.ts';
import { serve } from './serve.ts';
import { listeningAddresses } from './servers.ts';
import { readSettings, type Settings, type Sources } from './settings.ts';
import { type Replanning, supervise } from './supervise.ts';
import { type Options, TABLE } from './table/table.ts';
import { serveByThreads } from './threads.ts';

/**
 * Serves as the settings say, here or by workers, until a signal ends it. Gives the exit status, or
 * what is wrong with the settings.
 */
export async function start(
  settings: Settings<Options>,
  sources: Sources,
): Promise<number | readonly RyegateError[]> {
  const umask = process.umask();
  const faults = takeEffect(settings);
  if (faults.length > 0) return faults;
  const passed = listenDescriptors(process.env, { unset: true });
  const plan = ({ values: options, effective }: Settings<Options>): Plan => ({
    options,
    addresses: listeningAddresses(options.bind, !isGiven(effective.get('bind')), passed),
  });
  const { workers, threads, reload } = settings.values;
  if (reload) return await serveReloading(plan(settings));
  if (threads > 0) return await serveByThreads(plan(settings));
  if (workers === 0) return await serve(plan(settings));
  const reloading = new Reloading(sources, umask, plan);
  return await supervise(plan(settings), sources, reloading);
}

/** Changes the process as the options say; gives what is wrong. */
function takeEffect(settings: Settings<Options>): readonly RyegateError[] {
  const { values, effective, faults } = settings;
  if (faults.length > 0) return faults;
  return [...prepare(values, effective), ...checkNamed(effective)];
}

/** What options have changed of the environment goes back; what was unset on purpose stays so. */
function takeBack(before: Environment): void {
  for (const name of Object.keys(process.env)) {
    const value = before[name];
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}

/** What options change of the process. */
interface Surroundings {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly umask: number;
}

/** Reads the settings anew, from where they were read at the start, in a process as it was then. */
class Reloading implements Replanning {
  readonly #sources: Sources;
  /** As it was at the start. */
  readonly #umask: number;
  readonly #plan: (settings: Settings<Options>) => Plan;
  #folder = process.cwd();
  #before: Surroundings | null = null;

  constructor(sources: Sources, umask: number, plan: (settings: Settings<Options>) => Plan) {
    this.#sources = sources;
    this.#umask = umask;
    this.#plan = plan;
  }

  async again(): Promise<Plan> {
    const umask = process.umask(this.#umask);
    this.#before = { folder: this.#folder, env: { ...process.env }, umask };
    try {
      process.chdir(this.#sources.folder);
      takeBack(this.#sources.env);
      const plan = this.#plan(await read(this.#sources));
      this.#folder = process.cwd();
      return plan;
    } catch (error) {
      this.revert();
      throw error;
    }
  }

  revert(): void {
    if (this.#before === null) return;
    const { folder, env, umask } = this.#before;
    process.umask(umask);
    takeBack(env);
    Object.assign(process.env, env);
    // A deployment may have removed it.
    if (existsSync(folder)) process.chdir(folder);
    this.#folder = folder;
  }
}

async function read(sources: Sources): Promise<Settings<Options>> {
  const settings = await readSettings(TABLE, sources);
  const faults = [...takeEffect(settings)];
  const { workers, threads, reload } = settings.values;
  if (workers === 0 || threads > 0 || reload) {
    faults.push(new ConfigError('workers, threads and reload take a restart to be switched'));
  }
  if (faults.length === 0) return settings;
  throw new ConfigError(faults.map(({ message }) => message).join('; '));
}
