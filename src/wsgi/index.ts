export { type HeaderList, Headers } from '../http/headers.ts';
export { StringErrorStream, WritableErrorStream } from '../io/errorstream.ts';
export { demoApp } from './demoapp.ts';
export type { BaseEnviron } from './environ.ts';
export {
  type BodyPart,
  type DescriptorFile,
  type FileLike,
  FileWrapper,
  type ReadableFile,
} from './filewrapper.ts';
export { BaseHandler } from './handlers.ts';
export {
  type Drainable,
  type HealthCheck,
  type HealthOptions,
  healthChecks,
} from './health.ts';
export { type OutputFile, SimpleHandler } from './simplehandler.ts';
export {
  type MakeServerOptions,
  makeServer,
  ServerHandler,
  WSGIRequestHandler,
  WSGIServer,
} from './simpleserver.ts';
export type {
  Application,
  ApplicationResult,
  Chunk,
  Closable,
  Environ,
  ErrorStream,
  FileWrapperClass,
  InputReader,
  StartResponse,
  WriteFunction,
} from './types.ts';
export * as util from './util.ts';
export { validator } from './validate.ts';
