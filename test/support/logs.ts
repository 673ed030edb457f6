import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect } from 'vitest';
import { type AccessEntry, AccessLog, type LogWriter } from '../../src/index.ts';

export interface LogPlace {
  /** A path in the folder that is removed in the end; another one each time. */
  path(): string;
  read(path: string): string;
  /** Has a log closed after the test. */
  keep<Log extends LogWriter>(log: Log): Log;
}

/** For the logs of one test file. */
export function logPlace(): LogPlace {
  const folder = mkdtempSync(join(tmpdir(), 'ryegate-logs-'));
  const open: LogWriter[] = [];
  let count = 0;
  afterEach(async () => {
    await Promise.all(open.splice(0).map((log) => log.close()));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return {
    path: () => join(folder, `${count++}.log`),
    read: (path) => readFileSync(path, 'utf8'),
    keep: (log) => {
      open.push(log);
      return log;
    },
  };
}

/** The warnings of the process about logs, by their messages. */
export function logWarnings(): string[] {
  const messages: string[] = [];
  const note = (warning: Error & { code?: string }): void => {
    if (warning.code === 'ERR_RYEGATE_LOG') messages.push(warning.message);
  };
  beforeEach(() => {
    messages.length = 0;
    process.on('warning', note);
  });
  afterEach(() => {
    process.off('warning', note);
  });
  return messages;
}

/** What a request leaves, but for what a test says. */
export function accessEntry(
  differing: Partial<AccessEntry> = {},
  head: Partial<AccessEntry['head']> = {},
): AccessEntry {
  return {
    time: Date.UTC(2026, 10, 20, 13, 5, 9, 42),
    client: '192.0.2.7',
    head: { method: 'GET', target: '/a%20b?c=d&e', minor: 1, fields: [], ...head },
    status: 200,
    bytes: 13,
    seconds: 1.2345678,
    aborted: false,
    responseFields: null,
    environ: null,
    ...differing,
  };
}

/** A line of the format `json`, as far as tests look at it. */
export interface AccessLine {
  method: string | null;
  path: string | null;
  query: string | null;
  status: number | null;
  bytes: number;
  seconds: number;
  aborted?: true;
}

/** The lines of logs that are made by `jsonLog`, in one test. */
export function jsonLines(): { lines: AccessLine[]; jsonLog: () => AccessLog } {
  const lines: AccessLine[] = [];
  beforeEach(() => {
    lines.length = 0;
  });
  const write = (text: string): void => {
    expect(text).toMatch(/^[^\n]*\n$/);
    lines.push(JSON.parse(text));
  };
  return { lines, jsonLog: () => new AccessLog({ format: 'json', output: { write } }) };
}

/** `GET /path 200 4`, and what became of it. */
export function brief({ method, path, status, bytes, aborted }: AccessLine): string {
  return `${method} ${path} ${status} ${bytes}${aborted ? ' aborted' : ''}`;
}
