import type { ServerAddress } from '../reactor/address.ts';
import { type DrainSummary, IDLE_GRACE } from '../reactor/drain.ts';
import type { ResolvedSettings } from './settings.ts';

/** A listener as a worker inherits it. */
export interface InheritedListener {
  readonly fd: number;
  readonly address: ServerAddress;
}

/** The first message to a worker. `check`: it loads the application, tells how that went and ends. */
export interface StartMessage {
  readonly type: 'start';
  readonly check: boolean;
  readonly settings: ResolvedSettings;
  readonly listeners: readonly InheritedListener[];
}

/** How a worker is to end, in seconds; see `DrainOptions`. */
export interface DrainTimes {
  /** It serves on for so long, and only denies that it is ready. */
  readonly delay: number;
  /** What is being answered then may take so long. */
  readonly deadline: number;
  /** Idle connections stay open so long. */
  readonly grace: number;
}

/** How one ends that nobody hurries, and that nobody replaces. */
export function unhurried({ drainDelay, gracefulTimeout }: ResolvedSettings): DrainTimes {
  return { delay: drainDelay, deadline: gracefulTimeout, grace: IDLE_GRACE };
}

/** What the supervisor tells a worker. */
export type Instruction =
  | StartMessage
  /** `ending`: all workers end, so that clients had better go elsewhere. */
  | { readonly type: 'drain'; readonly times: DrainTimes; readonly ending: boolean }
  | { readonly type: 'reopen' };

/** How a worker fares. */
export interface Heartbeat {
  /** Requests served since it started. */
  readonly requests: number;
  /** Bytes of memory, the resident set size. */
  readonly rss: number;
}

/** A worker should be replaced, and serves on until it is told to drain. */
export interface Retirement {
  readonly limit: 'requests' | 'memory' | 'age';
  /** Goes on after the worker's name. */
  readonly reason: string;
}

/**
 * What a worker tells the supervisor. `draining`: it drains without having been told, as somebody
 * sent it a signal.
 */
export type Report =
  | ({ readonly type: 'heartbeat' } & Heartbeat)
  | { readonly type: 'ready'; readonly rss: number }
  | { readonly type: 'failed'; readonly message: string }
  | ({ readonly type: 'retire' } & Retirement)
  | { readonly type: 'draining' }
  | { readonly type: 'drained'; readonly summary: DrainSummary };

/** As it is sent: the application may use the channel too, and what is ours has this name on it. */
export interface Envelope<Message> {
  readonly ryegate: Message;
}

type Members = Readonly<Record<string, unknown>>;

const isAmount = (value: unknown): boolean => typeof value === 'number' && value >= 0;
const isText = (value: unknown): boolean => typeof value === 'string';
const isObject = (value: unknown): value is Members => typeof value === 'object' && value !== null;

const SHAPES: Readonly<Record<Report['type'], (report: Members) => boolean>> = {
  heartbeat: ({ requests, rss }) => isAmount(requests) && isAmount(rss),
  ready: ({ rss }) => isAmount(rss),
  failed: ({ message }) => isText(message),
  retire: ({ limit, reason }) => isText(limit) && isText(reason),
  draining: () => true,
  drained: ({ summary }) =>
    isObject(summary) && isAmount(summary.finished) && isAmount(summary.aborted),
};

/** What a worker reports; null for what is none, as an application may send anything. */
export function readReport(message: unknown): Report | null {
  const report = unwrap(message);
  const type = report?.type;
  if (report === null || typeof type !== 'string' || !Object.hasOwn(SHAPES, type)) return null;
  return SHAPES[type as Report['type']](report) ? (report as unknown as Report) : null;
}

/** What the supervisor tells; null for what somebody else has sent. */
export function readInstruction(message: unknown): Instruction | null {
  return unwrap(message) as Instruction | null;
}

function unwrap(message: unknown): Members | null {
  const content = isObject(message) ? message.ryegate : null;
  return isObject(content) ? content : null;
}
