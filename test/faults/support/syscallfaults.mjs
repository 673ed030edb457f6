// Has system calls of a server fail.
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../syscallfaults.c', import.meta.url));
/** Where each has its words in the file that is shared. */
const WORDS = { accept4: 0, sendfile: 16 };

export const EACH_IN_TURN = -1;
export const FEW_BYTES = -2;

/** The library that makes a system call fail, and the file by which it is told how. */
export class SyscallFaults {
  #words;

  constructor(folder, syscall) {
    this.#words = WORDS[syscall];
    this.library = join(folder, 'syscallfaults.so');
    execFileSync('gcc', ['-shared', '-fPIC', '-O1', '-Wall', '-o', this.library, source, '-ldl']);
    this.control = join(folder, 'control');
    this.fd = openSync(this.control, 'w+');
    ftruncateSync(this.fd, 64);
  }

  get env() {
    return { LD_PRELOAD: this.library, RYEGATE_SYSCALL_FAULTS: this.control };
  }

  /** Every call fails with `number`; 0: none does; `EACH_IN_TURN`: every other. */
  set mode(number) {
    writeSync(this.fd, Int32Array.of(number), 0, 4, this.#words);
  }

  get counts() {
    const words = readFileSync(this.control).subarray(this.#words);
    return { calls: words.readInt32LE(4), injected: words.readInt32LE(8) };
  }

  close() {
    closeSync(this.fd);
  }
}
