export type { AccessEntry } from './accessentry.ts';
export {
  AccessLog,
  type AccessLogOptions,
  type AccessLogOutput,
} from './accesslog.ts';
export type { AccessRecord } from './jsonformat.ts';
export { LogFile, LogStream, openLog } from './logfile.ts';
export { compileFormat, type LogFormat } from './logformat.ts';
export { type LogOptions, LogWriter } from './logwriter.ts';
export type { ErrorLogOutput, Logger, TextOutput } from './outputs.ts';
