import { isThenable } from '../../thenable.ts';
import type { ErrorStream, InputReader } from '../types.ts';
import { shown, violation } from './violation.ts';

type Method = (...args: unknown[]) => unknown;
/** A call of a method of a stream, checked: `method` is the stream's own. */
type CheckedCall = (method: Method, args: unknown[]) => unknown;

/** The server opened it and the server closes it (PEP 3333, "Input and Error Streams"). */
const NOT_THE_APPLICATIONS = new Set<string | symbol>(['close', 'end', 'destroy']);

/** `wsgi.input` with its calls and what they give checked; all else is as it was. */
export function checkedInput(input: InputReader): InputReader {
  return checkedStream('wsgi.input', input, INPUT_CALLS);
}

/** `wsgi.errors` with its calls checked; all else is as it was. */
export function checkedErrors(errors: ErrorStream): ErrorStream {
  return checkedStream('wsgi.errors', errors, ERRORS_CALLS);
}

/** An object that inherits from `stream`: a proxy of a frozen stream could not replace methods. */
function checkedStream<T extends object>(
  key: string,
  stream: T,
  calls: ReadonlyMap<string | symbol, CheckedCall>,
): T {
  return new Proxy(Object.create(stream), {
    get(_target, name) {
      if (NOT_THE_APPLICATIONS.has(name)) return () => refuseEnding(key, String(name));
      // The stream's own methods and getters use its private fields.
      const value = Reflect.get(stream, name);
      if (typeof value !== 'function') return value;
      const call = calls.get(name);
      if (call === undefined) return value.bind(stream);
      return (...args: unknown[]) => call(value.bind(stream), args);
    },
    set: (_target, name, value) => Reflect.set(stream, name, value),
  });
}

function refuseEnding(key: string, name: string): never {
  throw violation(
    `${key}.${name}() was called: the stream is the server's to close; leave it open`,
  );
}

function checkBytes(call: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return value;
  throw violation(`${call} gave ${shown(value)}: the server has to give bytes`);
}

function checkLines(call: string, value: unknown): unknown {
  if (!Array.isArray(value)) {
    throw violation(`${call} gave ${shown(value)}: the server has to give an array of lines`);
  }
  for (const line of value) checkBytes(call, line);
  return value;
}

function checkSize(call: string, value: unknown): unknown {
  if (Number.isSafeInteger(value)) return value;
  throw violation(`${call} gave ${shown(value)}: the server has to give a number of bytes`);
}

type ValueCheck = typeof checkBytes;

function checkArguments(call: string, args: unknown[], most: number): void {
  if (args.length <= most) return;
  throw violation(`${call} was called with ${args.length} arguments: it takes ${most} at most`);
}

function reading(name: string, check: ValueCheck, most = 1): [string, CheckedCall] {
  const call = `wsgi.input.${name}()`;
  return [
    name,
    (method, args) => {
      checkArguments(call, args, most);
      const promise = method(...args);
      if (!isThenable(promise)) {
        throw violation(`${call} gave ${shown(promise)}: the server has to give a promise`);
      }
      const checked = Promise.resolve(promise).then((value) => check(call, value));
      // A client that goes away must not end the process because a read was never awaited.
      checked.catch(() => {});
      return checked;
    },
  ];
}

function readingSync(name: string, check: ValueCheck): [string, CheckedCall] {
  const call = `wsgi.input.${name}()`;
  return [
    name,
    (method, args) => {
      checkArguments(call, args, 1);
      return check(call, method(...args));
    },
  ];
}

async function* checkedChunks(iterator: AsyncIterator<unknown>): AsyncGenerator<unknown> {
  for await (const chunk of { [Symbol.asyncIterator]: () => iterator }) {
    yield checkBytes('the iteration of wsgi.input', chunk);
  }
}

const INPUT_CALLS: ReadonlyMap<string | symbol, CheckedCall> = new Map<
  string | symbol,
  CheckedCall
>([
  reading('read', checkBytes),
  reading('readline', checkBytes),
  reading('readlines', checkLines),
  reading('saveTo', checkSize, 2),
  readingSync('readSync', checkBytes),
  readingSync('readlineSync', checkBytes),
  readingSync('readlinesSync', checkLines),
  [Symbol.asyncIterator, (method) => checkedChunks(method() as AsyncIterator<unknown>)],
]);

function checkText(call: string, text: unknown): string {
  if (typeof text === 'string') return text;
  throw violation(`${call} got ${shown(text)}: it takes strings; use String(value)`);
}

const ERRORS_CALLS: ReadonlyMap<string | symbol, CheckedCall> = new Map<
  string | symbol,
  CheckedCall
>([
  [
    'write',
    (method, args) => {
      checkArguments('wsgi.errors.write()', args, 1);
      return method(checkText('wsgi.errors.write()', args[0]));
    },
  ],
  [
    'writelines',
    (method, args) => {
      checkArguments('wsgi.errors.writelines()', args, 1);
      const lines = args[0] as Iterable<unknown> | null | undefined;
      if (typeof lines?.[Symbol.iterator] !== 'function') {
        throw violation(
          `wsgi.errors.writelines() got ${shown(lines)}: it takes an iterable of strings`,
        );
      }
      return method(Array.from(lines, (line) => checkText('wsgi.errors.writelines()', line)));
    },
  ],
  [
    'flush',
    (method, args) => {
      checkArguments('wsgi.errors.flush()', args, 0);
      return method();
    },
  ],
]);
