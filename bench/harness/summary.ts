import { pairedRatio, type Spread, spread } from './statistics.ts';

/** One run of one server; costs are CPU time in microseconds a request. */
export interface Sample {
  readonly requests: number;
  readonly seconds: number;
  readonly serverCost: number;
  readonly loadCost: number;
  /** The floor's cost, measured in turns with the server; not with large files. */
  readonly floor?: number;
}

/** Costs of one server divided by those of another in the same rounds. */
export interface Ratio {
  readonly server: Spread;
  readonly sum: Spread;
}

export interface Summary {
  readonly server: string;
  readonly serverCost: Spread;
  /** With the load generator's cost. */
  readonly sum: Spread;
  readonly requestsPerSecond: number;
  /** How busy the load generator was: near 1 it limits the requests per second, not the cost. */
  readonly loadBusy: number;
}

export interface PairedSummary extends Summary {
  /** By the name of the other server. */
  readonly ratios: Readonly<Record<string, Ratio>>;
}

export const serverCost = (sample: Sample): number => sample.serverCost;
export const sum = (sample: Sample): number => sample.serverCost + sample.loadCost;

function ratio(own: readonly Sample[], other: readonly Sample[]): Ratio {
  return {
    server: pairedRatio(own.map(serverCost), other.map(serverCost)),
    sum: pairedRatio(own.map(sum), other.map(sum)),
  };
}

/** What the samples of each server say, by its name. */
export function summarize(samples: ReadonlyMap<string, readonly Sample[]>): Summary[] {
  return [...samples].map(([server, own]) => ({
    server,
    serverCost: spread(own.map(serverCost)),
    sum: spread(own.map(sum)),
    requestsPerSecond: spread(own.map((sample) => sample.requests / sample.seconds)).median,
    loadBusy: spread(own.map((s) => (s.loadCost * s.requests) / (s.seconds * 1e6))).median,
  }));
}

/** As `summarize()`, with the ratios of each server to all others. */
export function summarizePairs(samples: ReadonlyMap<string, readonly Sample[]>): PairedSummary[] {
  return summarize(samples).map((summary) => {
    const own = samples.get(summary.server) ?? [];
    const others = [...samples].filter(([name]) => name !== summary.server);
    const ratios = Object.fromEntries(others.map(([name, other]) => [name, ratio(own, other)]));
    return { ...summary, ratios };
  });
}
