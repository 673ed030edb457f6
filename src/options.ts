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
