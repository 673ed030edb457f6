import type { Turn, Turns } from '../load/turns.ts';
import { spread } from './statistics.ts';
import type { Sample } from './summary.ts';

/** What a server costs over the floor while the machine is quiet. */
export interface Quiet {
  /** The median of its turns. */
  readonly over: number;
  /** Of the turns, those in which the machine was quiet. */
  readonly share: number;
}

/** One turn of a server: its cost, and the floor's directly before and after it. */
interface Spell {
  readonly cost: number;
  readonly before: number;
  readonly after: number;
}

/** The machine is quiet while the floor costs at most so many times what it costs undisturbed. */
const QUIET = 1.1;
/** This share of the floor's turns cost no more than it costs undisturbed. */
const CALM = 0.1;

function total(turns: readonly Turn[], what: keyof Turn): number {
  return turns.reduce((sum, turn) => sum + turn[what], 0);
}

/** Several turns of one server as one. */
export function together(turns: readonly Turn[]): Sample {
  const requests = total(turns, 'requests');
  return {
    requests,
    seconds: total(turns, 'seconds'),
    serverCost: total(turns, 'server') / requests,
    loadCost: total(turns, 'load') / requests,
  };
}

function costOf(turn: Turn | undefined): number {
  return turn === undefined ? Number.NaN : turn.server / turn.requests;
}

function spellsOf({ own, floor }: Turns): Spell[] {
  return own.map((turn, at) => {
    return { cost: costOf(turn), before: costOf(floor[at]), after: costOf(floor[at + 1]) };
  });
}

/**
 * What is left of all turns of each server, by its name, when those are left out in which the
 * machine was disturbed. The floor tells, on both sides of a turn: the server's own cost has no part
 * in it.
 */
export function whileQuiet(
  turns: Readonly<Record<string, readonly Turns[]>>,
): Record<string, Quiet> {
  const floors = Object.values(turns).flatMap((list) => list.flatMap(({ floor }) => floor));
  const costs = floors.map(costOf).sort((a, b) => a - b);
  const most = QUIET * (costs[Math.floor(costs.length * CALM)] ?? Number.NaN);
  const quiet = Object.entries(turns).map(([server, list]): [string, Quiet] => {
    const spells = list.flatMap(spellsOf);
    const calm = spells.filter(({ before, after }) => Math.max(before, after) <= most);
    const ratios = calm.map(({ cost, before, after }) => (2 * cost) / (before + after));
    return [server, { over: spread(ratios).median, share: calm.length / spells.length }];
  });
  return Object.fromEntries(quiet.filter(([, { share }]) => share > 0));
}
