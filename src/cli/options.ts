import { readArguments } from './arguments.ts';
import { renderHelp } from './help.ts';
import { combine } from './layers.ts';
import { missingNeeds } from './needs.ts';
import { type Options, TABLE } from './table/table.ts';

export type { Options } from './table/table.ts';

export const HELP: string = renderHelp(TABLE, {
  before: `\
Usage: ryegate [OPTION]... [MODULE[:EXPORT]]
       ryegate fetch [OPTION]... PATH [MODULE[:EXPORT]]

Serves a WSGI application over HTTP. MODULE is a path or a package; EXPORT is the
application in it, by default "app" or else the default export. Without MODULE the
demonstration application answers, unless there are folders to serve. "fetch" calls the
application without a server; see ryegate fetch --help.

Options have a variable of the environment, such as RYEGATE_POLL_INTERVAL, and a key of
the module ryegate.config.js, such as pollInterval. The command line counts most, then
the environment. A TIME is 500ms, 30s, 5m, 2h, 1d or seconds; a SIZE 64k, 512m or bytes.
`,
  after: `\
Examples:
  ryegate ./app.js
  ryegate --bind :8080 --bind unix:/run/app.sock ./src/site.mjs:create
  ryegate --static /=. --listing
  ryegate fetch /users?page=2 ./app.js
`,
});

/**
 * Parses the arguments after the program's name, and nothing else. Of a repeated option the last
 * one counts, of one with names the last of each name; lists take all.
 *
 * @throws UsageError (`ERR_RYEGATE_USAGE`) with one line that says what is wrong and how to mend it
 */
export function parseArguments(argv: readonly string[]): Options {
  const { layer, faults } = readArguments(TABLE, argv, 'ryegate');
  const combined = combine(TABLE, [layer]);
  const [fault] = [...faults, ...combined.faults, ...missingNeeds(TABLE, combined)];
  if (fault !== undefined) throw fault;
  return combined.values;
}
