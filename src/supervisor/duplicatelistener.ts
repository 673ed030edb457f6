import { SystemCallError } from '../errors.ts';
import { native } from '../native.ts';

/**
 * Another descriptor for a listener, which is the caller's.
 *
 * @throws SystemCallError when there is none left
 */
export function duplicateListener(listener: number): number {
  const fd = native.duplicate(listener);
  if (fd >= 0) return fd;
  throw new SystemCallError(fd, 'fcntl', 'a thread needs a descriptor for the listener');
}
