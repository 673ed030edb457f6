import type { Workload } from '../harness/workload.ts';
import type { RunningServer } from '../servers/index.ts';
import { blastOptions } from './blast.ts';
import { generate } from './generator.ts';

/** How long the turns are, in milliseconds: neighbours disturb a machine for longer than that. */
const TURN = 50;
const FLOOR_TURN = TURN / 2;

/** What a server did in one turn of a load that it shares with another. */
export interface Turn {
  readonly requests: number;
  readonly seconds: number;
  /** CPU time of the server's processes and of the load generator, in microseconds. */
  readonly server: number;
  readonly load: number;
}

export interface Turns {
  readonly own: readonly Turn[];
  /** One more: each of the server's turns is between two of these. */
  readonly floor: readonly Turn[];
}

/** A server, and the floor that answers the same requests. */
export interface TurnsSettings {
  readonly server: RunningServer;
  readonly floor: RunningServer;
  readonly workload: Workload;
  /** Of all the server's turns. */
  readonly seconds: number;
}

/** For how long a server and the floor are measured, if the server is for `seconds`. */
export function secondsInTurns(seconds: number): number {
  return (seconds * (TURN + FLOOR_TURN)) / TURN;
}

function describe({ port, pids }: RunningServer, milliseconds: number): string {
  return `${port}:${milliseconds}:${pids.join(',')}`;
}

/** As `blast`, with a server and the floor in turns. */
export async function blastInTurns(settings: TurnsSettings): Promise<Turns> {
  const { server, floor, workload, seconds } = settings;
  const count = Math.max(1, Math.round((seconds * 1000) / TURN));
  const servers = [describe(floor, FLOOR_TURN), describe(server, TURN)];
  const args = [...blastOptions(workload), '-t', `${count}`, ...servers];
  const result = await generate<[Turn[], Turn[]]>('blast', args, workload.request);
  return { floor: result[0], own: result[1] };
}
