import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, isInstalled, versionOf } from '../harness/processes.ts';
import type { Route } from '../harness/workload.ts';
import { freePort, listening } from './ports.ts';
import { type Peer, runningServer } from './server.ts';

/**
 * As nginx's manual advises for static files: sendfile with tcp_nopush, and open_file_cache. That is
 * valid for a second, which is as fresh as Ryegate's cache is by default. Of the rest, what writes
 * to disk is off or in a folder of its own, and connections live as long as the load.
 */
function configuration(folder: string, root: string, port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  // Only with this can a worker of root's read a private folder.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `
    ${user}
    daemon off;
    worker_processes 1;
    pid ${folder}/pid;
    error_log stderr error;
    events { worker_connections 10000; }
    http {
      ${temporary.join('\n')}
      access_log off;
      default_type application/octet-stream;
      sendfile on;
      tcp_nopush on;
      open_file_cache max=1000 inactive=60s;
      open_file_cache_valid 1s;
      keepalive_timeout 65;
      keepalive_requests 1000000000;
      server {
        listen 127.0.0.1:${port} backlog=1024;
        root ${root};
        location = / { default_type text/plain; return 200 'Hello, World!'; }
      }
    }`;
}

export const nginx: Peer = {
  name: 'nginx',
  description: 'return 200; sendfile, tcp_nopush, open_file_cache; one worker',
  routes: new Set<Route>(['hello', 'file']),
  missing: () =>
    isInstalled('nginx') ? null : 'not installed (Debian: apt-get install nginx-light)',
  version: () => versionOf('nginx', '-v')?.replace('nginx version: nginx/', '') ?? '',
  start: async (root) => {
    const folder = mkdtempSync(join(tmpdir(), 'ryegate-nginx-'));
    // Its processes may be at their end still, and remove files of their own.
    process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
    const port = await freePort();
    const file = join(folder, 'nginx.conf');
    writeFileSync(file, configuration(folder, root, port));
    const child = new Child('server', 'nginx', ['-e', 'stderr', '-p', folder, '-c', file]);
    await listening(port, child);
    return await runningServer(child, port);
  },
};
