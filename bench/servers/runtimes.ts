import { existsSync } from 'node:fs';
import { Child, isInstalled, versionOf } from '../harness/processes.ts';
import { installed, script } from '../paths.ts';
import { ALL_ROUTES, announcedServer, type Peer, PRODUCTION } from './server.ts';

/** Another runtime than Node.js, with a server of its own. */
interface Runtime {
  readonly name: string;
  readonly description: string;
  /** What comes before the script. */
  readonly args: readonly string[];
}

/** That of bench/package.json, else the one on the PATH. */
function command(name: string): string | null {
  const own = installed('.bin', name);
  if (existsSync(own)) return own;
  return isInstalled(name) ? name : null;
}

function runtime({ name, description, args }: Runtime): Peer {
  return {
    name,
    description,
    routes: ALL_ROUTES,
    missing: () => {
      const found = command(name);
      if (found === null) return 'not installed: run npm ci --prefix bench';
      // The package is a stub until its install script has run, which npm may be told not to do.
      const runs = versionOf(found, '--version') !== null;
      return runs ? null : `${found} does not run: run npm rebuild --prefix bench`;
    },
    version: () => /\d+(\.\d+)+/.exec(versionOf(command(name) ?? '', '--version') ?? '')?.[0] ?? '',
    start: (root) => {
      const all = [...args, script(`${name}.mjs`), root];
      return announcedServer(new Child('server', command(name) ?? '', all, PRODUCTION));
    },
  };
}

export const runtimes: readonly Peer[] = [
  runtime({
    name: 'bun',
    description: 'Bun.serve({ routes }), new Response(Bun.file(path))',
    args: [],
  }),
  runtime({
    name: 'deno',
    description: 'Deno.serve(), Deno.open(path), new Response(file.readable)',
    // Nothing of the folders above is its own.
    args: ['run', '--no-config', '--allow-net', '--allow-read'],
  }),
];
