/** What a server is asked for. Every server answers every route that it claims in the same way. */
export type Route = 'hello' | 'echo' | 'chunked' | 'promise' | 'timer' | 'file';

/** The paths of the routes; a file's is its own. */
export const PATHS: Readonly<Record<Exclude<Route, 'file'>, string>> = {
  /** 200 with the body `Hello, World!` as text/plain, with Content-Length. */
  hello: '/',
  /** POST: 200 with the request's body, as application/octet-stream, with Content-Length. */
  echo: '/echo',
  /** 200 with eight pieces of 1 KiB of the letter x, as text/plain, chunked. */
  chunked: '/chunked',
  /** As hello, by a handler that returns a promise which is resolved already. */
  promise: '/promise',
  /** As hello, by a handler that waits for a timer of 1 ms. */
  timer: '/timer',
};

/** One kind of load: what is sent, over how many connections, and how. */
export interface Workload {
  /** For options and JSON: `hello-64`. */
  readonly name: string;
  /** For people: `hello, 64 connections`. */
  readonly title: string;
  readonly route: Route;
  /** The bytes of one request. */
  readonly request: Buffer;
  readonly connections: number;
  /** So many requests are sent together on each connection, and the next when all are answered. */
  readonly pipelined: number;
  /** Whether each request has a connection of its own. */
  readonly close: boolean;
  /** What stands once in the request, and is another number in each that is sent; null: none is. */
  readonly varied: string | null;
}
