import { renderHelp } from './help.ts';
import { APPLICATION } from './table/application.ts';
import { flag, list, optional } from './table/kinds.ts';
import { makeGroup, makeTable, type OptionTable, type Rows } from './table/row.ts';
import { type Options, TABLE } from './table/table.ts';
import { refuse } from './units.ts';

interface RequestedOptions {
  /** The target of the request, as it is sent; null if it is missing. */
  path: string | null;
  /** Whether the head of the response is printed, too. */
  include: boolean;
  /** The method; null: POST with data, else GET. */
  request: string | null;
  /** Field lines, in order. */
  header: string[];
  /** The body; `@FILE` for that of a file, `@-` of standard input. */
  data: string | null;
}

export interface FetchOptions extends Options, RequestedOptions {}

/** What URLs cannot hold is encoded, as clients do. */
function parseTarget(text: string): string {
  if (!text.startsWith('/')) refuse('a path that begins with /, such as /users?page=2');
  return text.replace(/[^\x21-\x7e]/gu, encodeURIComponent).replace(/#.*/, '');
}

function parseMethod(text: string): string {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(text) ? text : refuse('a method, such as PUT');
}

function parseHeader(text: string): string {
  if (/^[\w!#$%&'*+.^`|~-]+:[^\r\n\0]*$/.test(text)) return text;
  return refuse("a field as 'Name: value'");
}

const ROWS: Rows<RequestedOptions> = {
  path: {
    metavar: 'PATH',
    positional: true,
    commandLineOnly: true,
    kind: optional(parseTarget),
    help: 'the path',
  },
  include: {
    short: 'i',
    commandLineOnly: true,
    kind: flag(),
    help: 'print the head of the response as well',
  },
  request: {
    short: 'X',
    metavar: 'METHOD',
    commandLineOnly: true,
    kind: optional(parseMethod),
    help: 'the method; by default GET, with --data POST',
  },
  header: {
    short: 'H',
    metavar: 'FIELD',
    commandLineOnly: true,
    kind: list(parseHeader),
    isSecret: true,
    help: "a field of the request, such as 'Accept: text/html'; may be repeated",
  },
  data: {
    short: 'd',
    metavar: 'BODY',
    commandLineOnly: true,
    takesDash: true,
    kind: optional((text) => text),
    help: 'the body of the request; @FILE for that of a file, @- for standard input',
  },
};

const REQUEST = makeGroup('The request', ROWS);

/** It takes every option, as it reads the same environment and the same config module. */
export const FETCH_TABLE: OptionTable<FetchOptions> = makeTable([REQUEST, ...TABLE.groups]);

export const FETCH_HELP: string = renderHelp(
  makeTable([REQUEST, makeGroup('Application and files', APPLICATION)]),
  {
    before: `\
Usage: ryegate fetch [OPTION]... PATH [MODULE[:EXPORT]]

Calls a WSGI application with one request, without a server, and prints the body of its
response. The application, the environment and the config module are those of ryegate.
`,
    after: `\
The other options of ryegate are taken as well; those about requests count, such as
--limit and --input-buffering.

Exit status: 0 for a status of 2xx, 22 for any other, 1 when the application fails.

Examples:
  ryegate fetch /users?page=2 ./app.js
  ryegate fetch -i -X PUT -d @photo.jpg -H 'Content-Type: image/jpeg' /photo ./app.js
`,
  },
);
