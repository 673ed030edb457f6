import { UsageError } from './usageerror.ts';

const DURATION = /^([0-9]+\.?[0-9]*|\.[0-9]+)(ms|s|m|h|d)?$/;
const SIZE = /^([0-9]+)([kmg]?)$/i;

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const MULTIPLES: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** Seconds of `500ms`, `30s`, `5m`, `2h`, `1d`, `30`, or `Infinity`; null for anything else. */
export function toSeconds(text: string): number | null {
  if (text === 'Infinity') return Infinity;
  const [, digits, unit = 's'] = DURATION.exec(text) ?? [];
  if (digits === undefined) return null;
  return unit === 'ms' ? Number(digits) / 1000 : Number(digits) * (SECONDS[unit] as number);
}

/** Bytes of `512`, `64k`, `10m` or `2g`; null for anything else. */
export function toBytes(text: string): number | null {
  const [, digits, suffix = ''] = SIZE.exec(text) ?? [];
  return digits === undefined ? null : Number(digits) * (MULTIPLES[suffix.toLowerCase()] ?? 1);
}

/** A whole number without a sign; null for anything else. */
export function toWhole(text: string): number | null {
  return /^[0-9]+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : null;
}

export function refuse(expected: string): never {
  throw new UsageError(`give ${expected}`);
}
