import { RyegateError, showValue } from './errors.ts';

/** Throws `ERR_RYEGATE_OPTION` for an option that is given and makes no sense. */
export function checkOption<Value>(
  name: string,
  value: Value | undefined,
  isSensible: (value: Value) => boolean,
  expected: string,
): void {
  if (value === undefined || isSensible(value)) return;
  throw new RyegateError(
    'ERR_RYEGATE_OPTION',
    `the option ${name} is ${showValue(value)}: give ${expected}`,
  );
}

/** Throws `ERR_RYEGATE_OPTION` for those of `names` that are given and are neither true nor false. */
export function checkFlags<Options extends object>(
  options: Options,
  names: readonly (keyof Options & string)[],
): void {
  const isFlag = (value: unknown): boolean => typeof value === 'boolean';
  for (const name of names) checkOption(name, options[name], isFlag, 'true or false');
}

/** Whether `value` is a whole number between `minimum` and `maximum`. */
export function isWhole(value: unknown, minimum: number, maximum: number): boolean {
  return Number.isInteger(value) && (value as number) >= minimum && (value as number) <= maximum;
}

/**
 * Throws `ERR_RYEGATE_OPTION` unless `options` is an object with names among those of `known`: an
 * option that is misspelt protects nobody.
 */
export function checkNames(options: unknown, known: object): void {
  const names = Object.keys(known).join(', ');
  if (typeof options !== 'object' || options === null) {
    throw new RyegateError('ERR_RYEGATE_OPTION', `give the options as an object: ${names}`);
  }
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(known, name));
  if (unknown === undefined) return;
  throw new RyegateError(
    'ERR_RYEGATE_OPTION',
    `unknown option ${showValue(unknown)}: use one of ${names}`,
  );
}
