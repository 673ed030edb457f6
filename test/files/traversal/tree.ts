import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** In every file that lies outside of the root. */
export const OUTSIDE = 'outside of the root';
/** In every file that is hidden by a dot, or may not be read. */
export const HIDDEN = 'hidden in the root';

/** What each file that may be served ends with. */
export function contentOf(name: string): string {
  return `content of ${name}`;
}

/** By their paths as byte strings. */
const SERVED = [
  'index.html',
  'file.txt',
  'folder/inner.txt',
  'dots..txt',
  '%2e%2e/literal.txt',
  'percent%2fsign.txt',
  'a b&c=d;e,f.txt',
];

const HIDDEN_FILES = [
  '.git/config',
  '.git/HEAD',
  '.env',
  '.htpasswd',
  '.hidden/x',
  '.well-known/.env',
  '.well-known/security.txt',
  'folder/.env',
  'folder/.hidden/x',
  'unreadable.txt',
  'unreadable/x',
];

/** `ROOT` stands for the root's absolute path, `BASE` for that of the folder around it. */
const LINKS: Record<string, string> = {
  'link-out': '../secret.txt',
  'link-out-absolute': 'BASE/secret.txt',
  'link-out-deep': 'folder/../../root/../secret.txt',
  'link-folder-out': '..',
  'link-folder-absolute': 'BASE',
  'link-system': '/',
  'link-passwd': '/etc/passwd',
  'link-sibling': '../root-secret',
  'folder/link-out': '../../secret.txt',
  'link-chain': 'link-chain-2',
  'link-chain-2': 'folder/../link-out',
  'link-by-folder': 'link-folder-out/secret.txt',
  'link-to-link-folder': 'link-folder-out',
  'link-out-and-in': '../root/file.txt',
  'link-in-absolute': 'ROOT/file.txt',
  'link-folder-in-absolute': 'ROOT/folder',
  loop: 'loop',
  'loop-a': 'loop-b',
  'loop-b': 'loop-a',
  'loop-folder': '.',
  'loop-out': '../secret.txt',
  'link-nowhere': 'missing',
  'link-environ': '/proc/self/environ',
  'link-fd': '/proc/self/fd/0',
  'link-cwd': '/proc/self/cwd',
  'link-proc-root': '/proc/self/root',
  'link-fifo': 'fifo',
  'link-device': '/dev/zero',
  'link-env': '.env',
  'link-in': 'file.txt',
  'link-in-folder': 'folder',
  'folder/link-up': '../file.txt',
};

/** A root with all that a static application must not serve in it and around it. */
export interface Tree {
  readonly root: string;
  remove(): void;
}

export async function makeTree(): Promise<Tree> {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'ryegate-traversal-')));
  // For the test that serves as another user.
  chmodSync(base, 0o755);
  const root = join(base, 'root');
  write(join(base, 'secret.txt'), OUTSIDE);
  write(join(base, 'root-secret', 'x'), OUTSIDE);
  write(join(base, 'assets-secret', 'x'), OUTSIDE);
  for (const path of SERVED) write(join(root, path), contentOf(path.split('/').pop() as string));
  for (const path of HIDDEN_FILES) {
    write(join(root, path), `${HIDDEN}, ${contentOf(path.split('/').pop() as string)}`);
  }
  writeFileSync(Buffer.from(`${root}/\xff\xfe.txt`, 'latin1'), contentOf('bytes.txt'));
  mkdirSync(join(root, 'empty'));
  for (const [path, target] of Object.entries(LINKS)) {
    symlinkSync(target.replace('ROOT', root).replace('BASE', base), join(root, path));
  }
  const closeSocket = await makeSpecialFiles(root);
  chmodSync(join(root, 'unreadable.txt'), 0);
  chmodSync(join(root, 'unreadable'), 0);
  return {
    root,
    remove: () => {
      closeSocket();
      chmodSync(join(root, 'unreadable'), 0o700);
      rmSync(base, { recursive: true });
    },
  };
}

function write(path: string, content: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
}

async function makeSpecialFiles(root: string): Promise<() => void> {
  execFileSync('mkfifo', [join(root, 'fifo'), join(root, 'folder', 'fifo')]);
  const server = createServer();
  server.listen(join(root, 'socket'));
  await once(server, 'listening');
  try {
    // As /dev/zero, which has no end.
    execFileSync('mknod', [join(root, 'device'), 'c', '1', '5'], { stdio: 'ignore' });
  } catch {
    console.log('no device in the tree: mknod needs the rights of root; /dev/zero is linked to');
  }
  return () => server.close();
}
