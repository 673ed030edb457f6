import { BenchError } from '../harness/processes.ts';
import type { Clients } from './clients.ts';
import type { Contender } from './contender.ts';

/** CPU time of one spell in microseconds: long beside a turn, short beside what disturbs. */
const SPELL = 10_000;
/** Milliseconds without an answer that show a fault. */
const PATIENCE = 5000;

/** CPU time of this process so far, all its threads, in microseconds. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** A contender and its clients. They take turns, so that the time of each can be told. */
export class Exchange {
  readonly #contender: Contender;
  readonly #clients: Clients;
  /** Bytes of all answers, each time that all clients have sent. */
  #bytes = 0;
  /** Of a spell: so many times all clients send. */
  #rounds = 0;
  #heardAt = 0;

  constructor(contender: Contender, clients: Clients) {
    this.#contender = contender;
    this.#clients = clients;
  }

  /**
   * Each client sends once: what each gets, by the time that `complete` says yes to it. From then
   * on the answers must have as many bytes together.
   */
  async once(complete: (answers: readonly Buffer[]) => boolean): Promise<readonly Buffer[]> {
    let answers: readonly Buffer[] = [];
    this.#send();
    await this.#contender.serve(() => {
      this.#receive();
      const pieces = this.#clients.received();
      answers = pieces.map((piece, i) => Buffer.concat([answers[i] ?? Buffer.alloc(0), piece]));
      return complete(answers);
    });
    this.#bytes = Buffer.concat(answers).length;
    return answers;
  }

  /** Twice so many requests, of which the second half tell how many a spell takes. */
  async warmUp(requests: number): Promise<void> {
    const rounds = Math.ceil(requests / this.#clients.requests);
    await this.#measure(rounds);
    this.#rounds = Math.ceil((SPELL * rounds) / (await this.#measure(rounds)));
  }

  /** One spell: the contender's CPU time in microseconds a request. */
  async spell(): Promise<number> {
    return (await this.#measure(this.#rounds)) / (this.#rounds * this.#clients.requests);
  }

  /** The contender's CPU time, in microseconds, for so many rounds. */
  async #measure(rounds: number): Promise<number> {
    let used = 0;
    let left = rounds;
    let due = this.#bytes;
    this.#send();
    let since = cpuTime();
    await this.#contender.serve(() => {
      used += cpuTime() - since;
      due -= this.#receive();
      if (due < 0) throw new BenchError(`answers have become longer by ${-due} bytes`);
      if (due === 0) {
        if (--left === 0) return true;
        due = this.#bytes;
        this.#send();
      }
      since = cpuTime();
      return false;
    });
    return used;
  }

  #send(): void {
    this.#heardAt = performance.now();
    this.#clients.send();
  }

  #receive(): number {
    const bytes = this.#clients.receive();
    const now = performance.now();
    if (bytes > 0) this.#heardAt = now;
    else if (now - this.#heardAt > PATIENCE) throw new BenchError('a client gets no answer');
    return bytes;
  }
}
