import { type ParseArgsConfig, parseArgs } from 'node:util';
import { Layer, labelOf } from './layers.ts';
import { nearest } from './nearest.ts';
import type { Option, OptionTable } from './table/row.ts';
import { UsageError } from './usageerror.ts';

/** What other servers call it. */
const SYNONYMS: Readonly<Record<string, string>> = {
  host: 'bind',
  port: 'bind',
  listen: 'bind',
  uds: 'bind',
  'unix-socket': 'bind',
  'access-logfile': 'access-log',
  'error-logfile': 'error-log',
  'limit-max-requests': 'max-requests',
  'timeout-keep-alive': 'keep-alive',
  'timeout-graceful-shutdown': 'graceful-timeout',
  watch: 'reload',
};

/** A variable that somebody forgot to write --env before; its value may be a secret. */
const VARIABLE = /^([A-Za-z_]\w*)=/;

interface Token {
  readonly index: number;
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

/** Reads the arguments of one command line. */
class ArgumentReader {
  readonly layer = new Layer();
  readonly faults: UsageError[] = [];
  readonly #table: OptionTable<unknown>;
  readonly #help: string;
  readonly #positional: readonly Option[];
  readonly #positionals: string[] = [];
  /** What comes next may be the value of an option that is not known. */
  #skipsNext = false;
  /** The argument in which that option stands: what follows there may be its value as well. */
  #unknownAt = -1;

  constructor(table: OptionTable<unknown>, command: string) {
    this.#table = table;
    this.#help = `see ${command} --help`;
    this.#positional = table.options.filter(({ positional }) => positional);
  }

  read(argv: readonly string[]): void {
    // Not strict, as the messages of util.parseArgs advise on matters that users do not have.
    const { tokens } = parseArgs({
      args: [...argv],
      options: parserOptions(this.#table),
      allowPositionals: true,
      strict: false,
      tokens: true,
    });
    for (const token of tokens) {
      if (token.index === this.#unknownAt) continue;
      const isSkipped = this.#skipsNext && token.kind === 'positional';
      this.#skipsNext = false;
      if (token.kind === 'option') this.#guard(() => this.#option(token));
      else if (token.kind === 'positional' && !isSkipped) {
        this.#guard(() => this.#argument(token.value));
      }
    }
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.faults.push(error);
    }
  }

  #option(token: Token): void {
    const { name, rawName, value } = token;
    const option = findNamed(this.#table, name);
    if (option === undefined) {
      this.#skipsNext = value === undefined;
      this.#unknownAt = token.index;
      throw this.#unknown(name, rawName);
    }
    const label = `--${name}`;
    if (option.kind.shape === 'flag') {
      if (value !== undefined) {
        throw new UsageError(`${label} takes no value; leave out =${value}`);
      }
      this.#add(option, String(name === option.name), label);
      return;
    }
    const isNext = token.inlineValue === false && value !== undefined && /^-[^0-9]/.test(value);
    if (value === undefined || (isNext && !option.takesDash)) {
      throw new UsageError(`${label} needs a value; ${this.#help}`);
    }
    this.#add(option, value, labelOf(option, label, value));
  }

  #argument(text: string): void {
    const [, name] = VARIABLE.exec(text) ?? [];
    if (name !== undefined) {
      throw new UsageError(
        `${name}=... follows no option: for a variable write --env ${name}=..., for a file ./${name}=...`,
      );
    }
    const option = this.#positional[this.#positionals.length];
    if (option !== undefined) {
      this.#positionals.push(text);
      this.#add(option, text, text);
    } else {
      const last = this.#positional.at(-1) as Option;
      throw new UsageError(
        `${text} is one argument too many: ${last.help} is ${this.#positionals.at(-1)}`,
      );
    }
  }

  #add(option: Option, text: string, label: string): void {
    this.layer.add(option, { text, label, source: 'command line' });
  }

  #unknown(name: string, rawName: string): UsageError {
    const names = this.#table.options.filter(({ positional }) => !positional).flatMap(spellings);
    const synonym = Object.hasOwn(SYNONYMS, name) ? SYNONYMS[name] : undefined;
    const near = synonym ?? (name.length > 1 ? nearest(name, names) : undefined);
    const hint = near === undefined ? '' : `did you mean --${near}? `;
    return new UsageError(`unknown option ${rawName}; ${hint}${this.#help}`);
  }
}

/** How an option can be written. */
function spellings({ name, kind }: Option): string[] {
  const isNegatable = kind.shape === 'flag' && !name.startsWith('no-');
  return isNegatable ? [name, `no-${name}`] : [name];
}

function findNamed({ options }: OptionTable<unknown>, name: string): Option | undefined {
  return options.find((option) => !option.positional && spellings(option).includes(name));
}

function parserOptions({ options }: OptionTable<unknown>): ParseArgsConfig['options'] {
  const named: NonNullable<ParseArgsConfig['options']> = {};
  for (const option of options) {
    if (option.positional) continue;
    const type = option.kind.shape === 'flag' ? 'boolean' : 'string';
    for (const name of spellings(option)) named[name] = { type };
    if (option.short !== undefined) named[option.name] = { type, short: option.short };
  }
  return named;
}

export interface Arguments {
  readonly layer: Layer;
  readonly faults: readonly UsageError[];
}

/** Reads the arguments that follow `command`. */
export function readArguments(
  table: OptionTable<unknown>,
  argv: readonly string[],
  command: string,
): Arguments {
  const reader = new ArgumentReader(table, command);
  reader.read(argv);
  return reader;
}
