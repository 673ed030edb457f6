import { native } from '../../dist/native.js';
import { RECEIVE_WORDS, SEND_WORDS, Slabs } from '../../dist/reactor/slabs.js';
import { DefaultSelector, EVENT_READ } from '../../dist/selectors/index.js';
import type { Case } from './cases.ts';
import type { Contender } from './contender.ts';

/** Milliseconds. Something is always ready, unless there is a fault, which `turned` then finds. */
const LONGEST_WAIT = 1000;

/**
 * What cannot be saved: the kernel's work and the addon's. Waits, receives from all who are ready,
 * and sends each the same answer, without a look at what it asked for.
 */
export class Floor implements Contender {
  readonly #slabs = new Slabs();
  readonly #selector = new DefaultSelector();
  readonly #method: Case['serve'];
  #ready = 0;

  /** Sends `answer` to whichever of the connections `fds` has sent something. */
  constructor(fds: readonly number[], answer: Buffer, { serve }: Case) {
    this.#method = serve;
    this.#slabs.output.set(answer);
    fds.forEach((fd, i) => {
      this.#selector.register(fd, EVENT_READ);
      this.#slabs.sends.set([fd, 0, answer.length, -1, 0, 0, -1], i * SEND_WORDS);
    });
  }

  async serve(turned: () => boolean): Promise<void> {
    if (this.#method === 'serveForever') await this.#serveForever(turned);
    else this.#serveForeverSync(turned);
  }

  #serveForeverSync(turned: () => boolean): void {
    do {
      this.#receive(this.#selector.poller.wait(LONGEST_WAIT));
      this.#send();
    } while (!turned());
  }

  async #serveForever(turned: () => boolean): Promise<void> {
    const { poller } = this.#selector;
    await new Promise<void>((resolve, reject) => {
      const flush = (): number => {
        try {
          this.#send();
          if (!turned()) return 0;
          resolve();
        } catch (error) {
          reject(error);
        }
        hook.close();
        return 0;
      };
      const hook = new native.LoopHook(poller, (ready) => this.#receive(ready), flush);
      hook.start();
    });
  }

  #receive(ready: number): void {
    const { receives, sends, batch } = this.#slabs;
    const { ring } = this.#selector;
    for (let i = 0; i < ready; i++) {
      const fd = ring[2 * i] as number;
      receives[i * RECEIVE_WORDS] = fd;
      sends[i * SEND_WORDS] = fd;
    }
    batch.receiveMany(ready);
    this.#ready = ready;
  }

  #send(): void {
    this.#slabs.batch.sendMany(this.#ready, []);
  }
}
