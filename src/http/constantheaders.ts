import type { CommonFields } from './commonfields.ts';
import type { HeaderList } from './headers.ts';
import { type GivenFields, renderHead, scanFields } from './responsehead.ts';

const NONE = new Uint8Array(0);

/**
 * A list of headers that cannot change: it is frozen, and so are its pairs. To check, copy and
 * render the fields of a file takes a quarter of its request, so that is done once.
 */
export class ConstantHeaders {
  /** What was checked, frozen. */
  readonly list: HeaderList;
  #given: GivenFields | null = null;
  #status = '';
  #text = '';
  #common: CommonFields | null = null;
  #whole: Uint8Array = NONE;

  /** `list` has been checked. */
  constructor(list: HeaderList) {
    this.list = list;
  }

  /** As of `scanFields()`. */
  get given(): GivenFields {
    this.#given ??= scanFields(this.list);
    return this.#given;
  }

  /** As of `renderHead()`. The last is kept: mostly there is one status. */
  text(status: string): string {
    if (status !== this.#status) {
      this.#text = renderHead(status, this.list, false);
      this.#status = status;
      this.#common = null;
    }
    return this.#text;
  }

  /**
   * The whole head of a response that needs no further fields and after which the connection is
   * kept. Joining and encoding it anew takes a fifth of a request for a file.
   */
  whole(status: string, common: CommonFields): Uint8Array {
    const text = this.text(status);
    if (common !== this.#common) {
      const head = text + common.text + common.end;
      // A new one, as the last may not have gone yet; and slow: not from Node's pool, which a head
      // that is kept would hold as a whole.
      const bytes = Buffer.allocUnsafeSlow(head.length);
      bytes.write(head, 'latin1');
      this.#whole = bytes;
      this.#common = common;
    }
    return this.#whole;
  }
}

/** By the list that was given, and by the copy that was checked. */
const constants = new WeakMap<HeaderList, ConstantHeaders>();

export function constantHeaders(headers: HeaderList): ConstantHeaders | undefined {
  return constants.get(headers);
}

/**
 * `checked` has been copied from `headers`, and is what will be sent: what a getter or a proxy
 * answers when it is asked again does not matter.
 */
export function rememberIfConstant(headers: HeaderList, checked: HeaderList): void {
  if (!Object.isFrozen(headers)) return;
  for (let i = 0; i < checked.length; i++) if (!Object.isFrozen(headers[i])) return;
  for (const pair of checked) Object.freeze(pair);
  const constant = new ConstantHeaders(Object.freeze(checked) as HeaderList);
  constants.set(headers, constant);
  constants.set(checked, constant);
}
