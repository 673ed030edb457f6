import { Layer, labelOf } from './layers.ts';
import { nearest } from './nearest.ts';
import type { Option, OptionTable } from './table/row.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = 'RYEGATE_';

/** Variables that are no options: of the addon's loader, the supervisor, the build and the tests. */
const OTHERS: readonly string[] = [
  'RYEGATE_NATIVE',
  'RYEGATE_LISTENERS',
  'RYEGATE_SANITIZED',
  'RYEGATE_TEST_ADDRESS',
  'RYEGATE_TEST_BACKENDS',
  'RYEGATE_WERROR',
];

/** What Kubernetes tells every container of a service that is called ryegate. */
const SERVICE_LINK = /^RYEGATE_(SERVICE_|PORT$|PORT_)/;

export interface EnvironmentLayer {
  readonly layer: Layer;
  /** About variables that nobody knows. */
  readonly warnings: readonly string[];
}

/** Reads the variables of the options; an empty one counts as none. Lists are split at commas. */
export function readEnvironment(table: OptionTable<unknown>, env: Environment): EnvironmentLayer {
  const layer = new Layer();
  const warnings: string[] = [];
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX)) continue;
    const option = table.options.find((candidate) => candidate.variable === variable);
    if (option === undefined) {
      if (!isOther(variable)) warnings.push(unknownVariable(table, variable));
    } else if (value) {
      for (const text of textsOf(option, value)) {
        layer.add(option, { text, label: labelOf(option, variable, text), source: variable });
      }
    }
  }
  return { layer, warnings };
}

function textsOf({ kind }: Option, value: string): string[] {
  if (kind.shape === 'flag' || kind.shape === 'single') return [value];
  return value
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '');
}

function isOther(variable: string): boolean {
  return OTHERS.includes(variable) || SERVICE_LINK.test(variable);
}

function unknownVariable({ options }: OptionTable<unknown>, variable: string): string {
  const known = [...options.map((option) => option.variable ?? ''), ...OTHERS]
    .filter((name) => name !== '')
    .map((name) => name.slice(PREFIX.length));
  const near = nearest(variable.slice(PREFIX.length), known);
  const hint = near === undefined ? 'no option has that name' : `did you mean ${PREFIX}${near}?`;
  return `unknown environment variable ${variable}; ${hint}`;
}
