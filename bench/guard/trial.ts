import { native } from '../../dist/native.js';
import { BenchError } from '../harness/processes.ts';
import { areComplete, checkAnswers } from './answers.ts';
import type { Case } from './cases.ts';
import { Clients } from './clients.ts';
import { type Contender, Ryegate } from './contender.ts';
import { Exchange } from './exchange.ts';
import { Floor } from './floor.ts';

/** After twice as many requests V8 compiles nothing more. */
const WARM_UP = 20_000;

/** CPU time in microseconds a request. */
export interface Costs {
  readonly ryegate: number;
  readonly floor: number;
}

/** The two ends of as many connections as the case has. */
function connect({ connections }: Case): [servers: number[], clients: number[]] {
  const pairs = Array.from({ length: connections }, () => {
    const pair = native.socketPair();
    if (typeof pair === 'number') throw new BenchError(`socketpair() failed with ${pair}`);
    return pair;
  });
  return [pairs.map(([server]) => server), pairs.map(([, client]) => client)];
}

/** Connects the clients, checks what each of them is answered, and warms up. */
async function begin(
  wanted: Case,
  contend: (fds: readonly number[]) => Contender,
  warmUp: number,
): Promise<{ exchange: Exchange; answers: readonly Buffer[] }> {
  const [servers, clients] = connect(wanted);
  const exchange = new Exchange(contend(servers), new Clients(clients, wanted));
  const answers = await exchange.once((bytes) => areComplete(bytes, wanted));
  for (const bytes of answers) checkAnswers(bytes, wanted);
  await exchange.warmUp(warmUp);
  return { exchange, answers };
}

/** One case, on both sides. */
export class Trial {
  readonly name: string;
  readonly #ryegate: Exchange;
  readonly #floor: Exchange;

  private constructor(name: string, ryegate: Exchange, floor: Exchange) {
    this.name = name;
    this.#ryegate = ryegate;
    this.#floor = floor;
  }

  static async prepare(wanted: Case, warmUp: number = WARM_UP): Promise<Trial> {
    const ryegate = await begin(wanted, (fds) => new Ryegate(fds, wanted), warmUp);
    const answer = ryegate.answers[0] as Buffer;
    const floor = await begin(wanted, (fds) => new Floor(fds, answer, wanted), warmUp);
    return new Trial(wanted.name, ryegate.exchange, floor.exchange);
  }

  /** A spell of each. */
  async measure(): Promise<Costs> {
    return { ryegate: await this.#ryegate.spell(), floor: await this.#floor.spell() };
  }
}
