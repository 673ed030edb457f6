import { execFileSync } from 'node:child_process';

/** Whether strace(1) is missing, for `skipIf`; says so. */
export function straceIsMissing(): boolean {
  try {
    execFileSync('strace', ['-V'], { stdio: 'ignore' });
    return false;
  } catch {
    console.warn('strace is missing (apt-get install strace): tests that need it are skipped');
    return true;
  }
}
