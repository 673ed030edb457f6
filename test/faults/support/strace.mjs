// Which system calls a process makes.
import { spawn } from 'node:child_process';
import { bounded, eventually } from './measure.mjs';

/** Watches a system call of a process; resolves with a function that ends that with the log. */
export async function watchCalls(pid, call) {
  const args = ['-f', '-e', `trace=${call}`, '-e', 'signal=none', '-p', String(pid)];
  const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  strace.stderr.setEncoding('latin1').on('data', (piece) => {
    text += piece;
  });
  const over = new Promise((resolve, reject) => {
    strace.on('close', resolve).on('error', reject);
  });
  over.catch(() => {});
  const began = eventually(() => /attached/.test(text) || strace.exitCode !== null, 'strace');
  await Promise.race([began, over]);
  return async () => {
    strace.kill('SIGINT');
    await bounded(over, 'strace');
    if (!/attached/.test(text)) throw new Error(`strace: ${text.slice(0, 200)}`);
    return text;
  };
}
