import { currentHTTPDate } from './date.ts';
import type { ResponseSettings } from './response.ts';
import type { GivenFields } from './responsehead.ts';

/** The part of a head that the responses of one server have in common for a second. */
export class CommonFields {
  readonly settings: ResponseSettings;
  readonly date: string;
  /** The turn in which the date was asked for last. */
  turn: number = Number.NaN;
  /** Date and Server. */
  readonly text: string;

  constructor(settings: ResponseSettings, date: string) {
    this.settings = settings;
    this.date = date;
    this.text = this.without({ date: false, server: false });
  }

  /** Date and Server, as far as they have not been given. */
  without(given: Pick<GivenFields, 'date' | 'server'>): string {
    const { serverField, serverSoftware } = this.settings;
    const date = this.date === '' || given.date ? '' : `Date: ${this.date}\r\n`;
    return given.server || !serverField ? date : `${date}Server: ${serverSoftware}\r\n`;
  }
}

let last: CommonFields | null = null;

/**
 * `turn`: the time that a turn has for its own; NaN: there are no turns. The date is read once in a
 * turn, as reading it takes 3 % of a small request.
 *
 * The last is kept: mostly there is one server in a process.
 */
export function commonFields(settings: ResponseSettings, turn: number): CommonFields {
  if (last !== null && last.turn === turn && last.settings === settings) return last;
  return readCommonFields(settings, turn);
}

function readCommonFields(settings: ResponseSettings, turn: number): CommonFields {
  const date = settings.dateField ? currentHTTPDate() : '';
  if (last === null || last.date !== date || last.settings !== settings) {
    last = new CommonFields(settings, date);
  }
  last.turn = turn;
  return last;
}
