import type { HTTPServerOptions } from '../httpserver/index.ts';
import { standardError } from '../io/errorstream.ts';
import { AccessLog, LogFile, LogStream, type LogWriter } from '../logging/index.ts';
import type { Privileges } from '../supervisor/index.ts';
import { fileOwner } from '../supervisor/privileges.ts';
import type { Options } from './table/table.ts';
import { SEVERITIES, type Severity } from './values.ts';

/** The logs of one process. */
export interface Logs {
  /** Of every server. */
  readonly options: Pick<HTTPServerOptions, 'accessLog' | 'errorLog' | 'logRequests'>;
  /** Whether messages of this level are wanted. */
  wants(level: Severity): boolean;
  /** A line about the program itself. */
  tell(level: Severity, text: string): void;
  /** The files have been renamed. One that cannot be made leaves the old one in use. */
  reopen(): void;
  /** Writes what is left. */
  close(): Promise<void>;
}

/** Whom the process, or its workers, become. */
export function accountsOf({ user, group }: Options): Pick<Privileges, 'user' | 'group'> {
  return { user: user ?? undefined, group: group ?? undefined };
}

/** @throws RyegateError `ERR_RYEGATE_LOG_FILE` */
export function openLogs(options: Options): Logs {
  const { accessLog, accessLogFormat, errorLog, quiet } = options;
  const files: LogWriter[] = [];
  const open = (path: string, standard: NodeJS.WriteStream): LogWriter => {
    const log = path === '-' ? new LogStream(standard) : openFile(path, options);
    files.push(log);
    return log;
  };
  const hasAccessLog = !quiet && (accessLog !== null || accessLogFormat !== null);
  const access = hasAccessLog
    ? new AccessLog({
        format: accessLogFormat ?? 'combined',
        output: open(accessLog ?? '-', accessLog === null ? process.stderr : process.stdout),
      })
    : undefined;
  const errors = errorLog === null ? undefined : open(errorLog, process.stderr);
  const wants = (level: Severity): boolean =>
    SEVERITIES.indexOf(level) >= SEVERITIES.indexOf(options.logLevel);
  const tell = (level: Severity, text: string): void => {
    if (wants(level)) (errors ?? standardError()).write(`ryegate: ${text}\n`);
  };
  return {
    options: { accessLog: access, errorLog: errors, logRequests: !quiet && !hasAccessLog },
    wants,
    tell,
    reopen: () => {
      for (const file of files) reopen(file, tell);
    },
    close: async () => {
      await Promise.all(files.map((file) => file.close()));
    },
  };
}

/** Whoever the process, or a worker, becomes has to open it again. */
function openFile(path: string, options: Options): LogFile {
  return new LogFile(path, {}, fileOwner(accountsOf(options)));
}

function reopen(file: LogWriter, tell: Logs['tell']): void {
  try {
    file.reopen();
  } catch (error) {
    tell('error', (error as Error).message);
  }
}
