import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Child, isInstalled, versionOf } from '../harness/processes.ts';
import { program, root as project } from '../paths.ts';
import { announcedServer, type Peer } from './server.ts';

/** That of bench/package.json, else the one on the PATH. */
function command(): string | null {
  const own = join(project, 'bench', 'node_modules', '.bin', 'bun');
  if (existsSync(own)) return own;
  return isInstalled('bun') ? 'bun' : null;
}

export const bun: Peer = {
  name: 'bun',
  description: 'Bun.serve(), new Response(Bun.file(path))',
  missing: () => {
    const found = command();
    if (found === null) return 'not installed: run npm ci --prefix bench';
    // The package is a stub until its install script has run, which npm may be told not to do.
    const runs = versionOf(found, '--version') !== null;
    return runs ? null : `${found} does not run: run npm rebuild --prefix bench`;
  },
  version: () => versionOf(command() ?? '', '--version') ?? '',
  start: (root) => announcedServer(new Child('server', command() ?? '', [program('bun'), root])),
};
