import { execFileSync } from 'node:child_process';

/** Whether there may be namespaces of processes here. */
export function unshareIsRefused(): boolean {
  try {
    execFileSync('unshare', ['--pid', '--fork', '--mount-proc', 'true'], { stdio: 'ignore' });
    return false;
  } catch {
    console.warn('unshare(1) may not make namespaces here: tests of process 1 are skipped');
    return true;
  }
}
