import { execFileSync } from 'node:child_process';

/**
 * Writes a file to its disk and drops it from the page cache. A file in memory (tmpfs) stays there.
 */
export function evict(path: string): void {
  const args = [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none'];
  execFileSync('dd', args);
}
