import type { Timed } from './protocol.ts';

/** Deadlines are kept this exactly, in milliseconds; so often at most is everything looked at. */
const RESOLUTION = 250;

/**
 * Deadlines without a timer for each: one sweep over all members when the earliest may have passed.
 * Moving a deadline later, which every request on a connection does, is an assignment.
 */
export class Deadlines {
  readonly #members = new Set<Timed>();
  readonly #connections: Iterable<Timed>;
  readonly #reschedule: (when: number) => void;
  #sweeping = false;
  /** When the next sweep is due, in milliseconds of the monotonic clock; `Infinity`: never. */
  next: number = Infinity;

  /** `connections`: members who come and go by themselves. */
  constructor(reschedule: (when: number) => void, connections: Iterable<Timed> = []) {
    this.#reschedule = reschedule;
    this.#connections = connections;
  }

  add(member: Timed): void {
    this.#members.add(member);
  }

  delete(member: Timed): void {
    this.#members.delete(member);
  }

  set(member: Timed, when: number): void {
    member.deadline = when;
    if (when >= this.next) return;
    this.next = when;
    if (!this.#sweeping) this.#reschedule(when);
  }

  /**
   * Expires what is due and schedules the next sweep. What expires may set deadlines, and must not
   * throw.
   */
  sweep(now: number): void {
    this.#sweeping = true;
    this.next = Infinity;
    try {
      this.#expire(this.#members, now);
      this.#expire(this.#connections, now);
    } finally {
      this.#sweeping = false;
      if (this.next !== Infinity) this.next = Math.max(this.next, now + RESOLUTION);
      this.#reschedule(this.next);
    }
  }

  #expire(members: Iterable<Timed>, now: number): void {
    for (const member of members) {
      if (member.deadline <= now) {
        member.deadline = Infinity;
        member.expire();
      }
      if (member.deadline < this.next) this.next = member.deadline;
    }
  }
}
