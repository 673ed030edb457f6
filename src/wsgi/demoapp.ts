import { inspect } from 'node:util';
import type { Application } from './types.ts';

const ONE_LINE = { compact: true, breakLength: Number.POSITIVE_INFINITY };

function describeValue(value: unknown): string {
  const nested = typeof value === 'object' && value !== null && !Array.isArray(value);
  try {
    // Depth -1 gives an object's class alone: what is inside may be large, or private.
    return inspect(value, { ...ONE_LINE, depth: nested ? -1 : 0 }).replace(/\s*\n\s*/g, ' ');
  } catch {
    return '[unprintable]';
  }
}

function describeKey(environ: Readonly<Record<string, unknown>>, key: string): string {
  // The signal is made when it is first asked for: name it without asking.
  if (key === 'ryegate.signal') {
    return '[AbortSignal]';
  }
  try {
    return describeValue(environ[key]);
  } catch {
    return '[unreadable]';
  }
}

/**
 * Answers every request with `Hello world!` and the sorted environ, one `KEY = value` a line
 * (`wsgiref.simple_server.demo_app`).
 */
export const demoApp: Application = (environ, startResponse) => {
  const lines = ['Hello world!', ''];
  for (const key of Object.keys(environ).sort()) {
    lines.push(`${key} = ${describeKey(environ, key)}`);
  }
  startResponse('200 OK', [['Content-Type', 'text/plain; charset=utf-8']]);
  return [Buffer.from(`${lines.join('\n')}\n`)];
};
