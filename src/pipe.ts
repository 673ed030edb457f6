import { SystemCallError } from './errors.ts';
import { native } from './native.ts';

/**
 * A pipe, which Node has no call for: `[reader, writer]`, non-blocking and close-on-exec, as
 * `os.pipe()`. Use `node:fs` on the descriptors, and close them with it.
 *
 * @throws SystemCallError `ERR_RYEGATE_SYSTEM` when there are no descriptors left
 */
export function pipe(): [reader: number, writer: number] {
  const ends = native.pipe();
  if (typeof ends === 'number') throw new SystemCallError(ends, 'pipe', 'no pipe could be made');
  return ends;
}
