import { type Answer, checkedAnswer, type Expected, sha256 } from './harness/answers.ts';
import { BenchError } from './harness/processes.ts';
import { connectionsFor, parseSize, type TestFile } from './harness/testfiles.ts';
import { PATHS, type Route, type Workload } from './harness/workload.ts';

/** A workload, and what every server has to answer to it. */
export interface Task {
  readonly workload: Workload;
  readonly expected: Expected;
  /** The file that is asked for. */
  readonly file: TestFile | null;
}

const PLAIN = 'text/plain';
const BINARY = 'application/octet-stream';
const HELLO = Buffer.from('Hello, World!');

/** As Chrome sends them when an address is typed in; with Host seven. */
const BROWSER_FIELDS = [
  'Connection: keep-alive',
  'Upgrade-Insecure-Requests: 1',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: en-GB,en;q=0.9',
];

const VARIED = '0000000000';

function get(path: string, ...fields: string[]): Buffer {
  return Buffer.from([`GET ${path} HTTP/1.1`, 'Host: localhost', ...fields, '', ''].join('\r\n'));
}

function post(path: string, body: Buffer): Buffer {
  const fields = [`Content-Type: ${BINARY}`, `Content-Length: ${body.length}`];
  const head = [`POST ${path} HTTP/1.1`, 'Host: localhost', ...fields, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head), body]);
}

/** Bytes of all values. */
function sampleBody(bytes: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, index) => index * 7));
}

/** What sets a workload apart. */
type Traits = Pick<Workload, 'name' | 'title' | 'request'> & Partial<Workload>;

function task(route: Route, type: string, body: Buffer, traits: Traits): Task {
  const expected = { type, bytes: body.length, sha256: sha256(body) };
  const usual = { route, connections: 64, pipelined: 1, close: false, varied: null };
  return { workload: { ...usual, ...traits }, expected, file: null };
}

function hello(connections: number): Task {
  const title = `hello, ${connections} connection${connections === 1 ? '' : 's'}`;
  const request = get(PATHS.hello);
  return task('hello', PLAIN, HELLO, { name: `hello-${connections}`, title, request, connections });
}

function echo(size: string, title: string): Task {
  const body = sampleBody(parseSize(size));
  const request = post(PATHS.echo, body);
  return task('echo', BINARY, body, { name: `echo-${size}`, title, request });
}

/** All but those that ask for a file. */
const TASKS: readonly Task[] = [
  ...[1, 64, 512].map(hello),
  task('hello', PLAIN, HELLO, {
    name: 'browser',
    title: 'hello, seven header fields of a browser',
    request: get(PATHS.hello, ...BROWSER_FIELDS),
  }),
  task('hello', PLAIN, HELLO, {
    name: 'varied',
    title: 'hello, fields of a browser and an ever new cookie',
    request: get(PATHS.hello, ...BROWSER_FIELDS, `Cookie: visit=${VARIED}`),
    varied: VARIED,
  }),
  task('hello', PLAIN, HELLO, {
    name: 'pipelined',
    title: 'hello, 16 requests pipelined',
    request: get(PATHS.hello),
    pipelined: 16,
  }),
  echo('1k', 'POST of 1 KiB, echoed'),
  echo('64k', 'POST of 64 KiB, echoed'),
  task('chunked', PLAIN, Buffer.alloc(8 * 1024, 'x'), {
    name: 'chunked',
    title: '8 KiB in eight chunks',
    request: get(PATHS.chunked),
  }),
  task('promise', PLAIN, HELLO, {
    name: 'promise',
    title: 'hello by a resolved promise',
    request: get(PATHS.promise),
  }),
  task('timer', PLAIN, HELLO, {
    name: 'timer',
    title: 'hello after a timer of 1 ms',
    request: get(PATHS.timer),
  }),
  task('hello', PLAIN, HELLO, {
    name: 'close',
    title: 'hello, a connection per request',
    request: get(PATHS.hello, 'Connection: close'),
    close: true,
  }),
];

/** What is asked for beside the promise and the timer, in the same rounds. */
export const PLAIN_HELLO: Task = hello(64);

const FILES: Readonly<Record<string, string>> = {
  '4k': '4 KiB',
  '64k': '64 KiB',
  '1m': '1 MiB',
  '100m': '100 MiB',
};

/** Those that compare CPU time, in the order of the run. */
export const TASK_NAMES: readonly string[] = [
  ...TASKS.map(({ workload }) => workload.name),
  ...Object.keys(FILES).map((size) => `file-${size}`),
];

/** The sizes of the files that the tasks with these names ask for. */
export function sizesOf(names: readonly string[]): string[] {
  return Object.keys(FILES).filter((size) => names.includes(`file-${size}`));
}

/** For a file of any size. */
export function fileTask(file: TestFile): Task {
  const connections = connectionsFor(file.bytes).at(-1) as number;
  return {
    workload: {
      name: `file-${file.name}`,
      title: `file of ${FILES[file.name] ?? file.name}, ${connections} connections`,
      route: 'file',
      request: get(file.path),
      connections,
      pipelined: 1,
      close: false,
      varied: null,
    },
    expected: { type: BINARY, bytes: file.bytes, sha256: file.sha256 },
    file,
  };
}

/** The tasks with these names. `files` are those of `sizesOf(names)`. */
export function tasksOf(names: readonly string[], files: readonly TestFile[]): Task[] {
  const all = [...TASKS, ...files.map(fileTask)];
  return names.map((name) => {
    const found = all.find(({ workload }) => workload.name === name);
    if (found) return found;
    throw new BenchError(`no load ${name}: there are ${TASK_NAMES.join(', ')}`);
  });
}

/** The answer of a server, which has to be as expected. */
export function checkTask(task: Task, server: string, port: number): Promise<Answer> {
  const { workload, expected } = task;
  return checkedAnswer(server, port, workload.request, workload.pipelined, expected);
}
