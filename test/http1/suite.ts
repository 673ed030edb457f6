import { join } from 'node:path';
import type { MakeServerOptions } from '../../src/index.ts';
import type { ServerAddress } from '../../src/socketserver/index.ts';
import type { Case } from './casefile.ts';
import { type Connection, CorpusServer, sendPieces } from './corpusserver.ts';
import type { Plan } from './plans.ts';
import { verify } from './verify.ts';

/** Connections side by side: descriptors are few, and select takes numbers below 1024 only. */
const MOST = 300;

export type Settings = Pick<MakeServerOptions, 'selector' | 'inputBuffering'>;

/** Servers of one kind, one for each set of limits, and what is sent to them. */
export class Suite {
  readonly #servers = new Map<string, CorpusServer>();

  /** `folder`: for unix sockets; null has TCP. */
  constructor(corpus: readonly Case[], settings: Settings, folder: string | null) {
    for (const { limits } of corpus) {
      const key = JSON.stringify(limits);
      if (this.#servers.has(key)) continue;
      const path = `${settings.selector}-${settings.inputBuffering}-${this.#servers.size}.sock`;
      const address: ServerAddress = folder === null ? ['127.0.0.1', 0] : join(folder, path);
      const server = new CorpusServer(address, { ...settings, limits });
      server.serveForever().catch((error) => server.failures.push(`serveForever: ${error}`));
      this.#servers.set(key, server);
    }
  }

  /** Sends all that is planned, in groups; returns what differed from what is expected. */
  async perform(plans: readonly Plan[]): Promise<string[]> {
    const failures: string[] = [];
    for (let at = 0; at < plans.length; at += MOST) {
      failures.push(...(await this.#performGroup(plans.slice(at, at + MOST))));
    }
    for (const server of this.#servers.values()) failures.push(...server.failures);
    return failures;
  }

  /** Side by side, a piece of each in a round. */
  async #performGroup(plans: readonly Plan[]): Promise<string[]> {
    const connections: Connection[] = [];
    for (const { item } of plans) connections.push(await this.#serverOf(item).connect());
    const rounds = Math.max(...plans.map(({ pieces }) => pieces.length));
    for (let round = 0; round < rounds; round++) {
      await sendPieces(connections, (index) => plans[index]?.pieces[round]);
    }
    const outcomes = plans.map(async (plan, index) => {
      try {
        await verify(plan, connections[index] as Connection);
        return [];
      } catch (error) {
        return [`${plan.item.name} in ${plan.pieces.length}: ${(error as Error).message}`];
      }
    });
    const failures = (await Promise.all(outcomes)).flat();
    for (const server of this.#servers.values()) server.disconnect();
    return failures;
  }

  #serverOf({ limits }: Case): CorpusServer {
    return this.#servers.get(JSON.stringify(limits)) as CorpusServer;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#servers.values()].map((server) => server.serverClose()));
  }
}
