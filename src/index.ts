export { RyegateError, SystemCallError } from './errors.ts';
export { OpenFile, openFile } from './files/openfile.ts';
export type { Counters } from './http/connection.ts';
export { HTTPError } from './http/httperror.ts';
export type { InputBuffering } from './http/intake.ts';
export { DEFAULT_LIMITS, LIMITS, type Limits, type PartialLimits } from './http/limits.ts';
export type { HTTPRequest } from './http/request.ts';
export type { Response } from './http/response.ts';
export type { Setting, SettingsTable } from './http/settings.ts';
export {
  DEFAULT_TIMEOUTS,
  type PartialTimeouts,
  TIMEOUTS,
  type Timeouts,
} from './http/timeouts.ts';
export * from './httpserver/index.ts';
export type { FileState } from './io/filefacts.ts';
export type { InputStream, SaveOptions, TrailerList } from './io/inputstream.ts';
export * from './logging/index.ts';
export { pipe } from './pipe.ts';
export {
  type PostedShutdownHandle,
  type ShutdownEvent,
  ShutdownHandle,
} from './reactor/control.ts';
export type { DrainOptions, DrainPhase, DrainProgress, DrainSummary } from './reactor/drain.ts';
export type { FilePart, FileProgress } from './reactor/fileregion.ts';
export type { Protocol } from './reactor/protocol.ts';
export type { ClientAddress, StreamSocket } from './reactor/streamsocket.ts';
export {
  DefaultSelector,
  EpollSelector,
  EVENT_READ,
  EVENT_WRITE,
  type FileObject,
  KqueueSelector,
  makeSelector,
  PollSelector,
  SELECTOR_NAMES,
  type Selector,
  SelectorKey,
  type SelectorName,
  SelectSelector,
} from './selectors/index.ts';
export * from './socketserver/index.ts';
export * from './supervisor/index.ts';
export { VERSION } from './version.ts';
export * from './wsgi/index.ts';
