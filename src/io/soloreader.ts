/** Tried until it returns a value; `undefined` asks for more bytes. */
export type Attempt<T> = () => T | undefined;

interface Settling {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** One that waits for bytes of a stream. */
export interface WaitingReader extends Settling {
  readonly attempt: Attempt<unknown>;
  /** Whether it is at work, and wants no bytes for now. */
  readonly busy?: boolean;
}

/** Gives the next bytes, an empty buffer at the end. */
export type Take = () => Promise<Buffer>;

/** Has a job read alone, at its own pace: the readers behind it wait until it has ended. */
export class SoloReader<T> implements WaitingReader {
  /** What the job gives. */
  readonly promise: Promise<T>;
  readonly #take: Attempt<Buffer>;
  readonly #changed: () => void;
  #state: 'queued' | 'working' | 'over' = 'queued';
  #turn!: Settling;
  #wanting: Settling | null = null;

  /** `take` gives what is there; `changed` is told when the job wants bytes, and when it has ended. */
  constructor(job: (take: Take) => Promise<T>, take: Attempt<Buffer>, changed: () => void) {
    this.#take = take;
    this.#changed = changed;
    const turn = new Promise<unknown>((resolve, reject) => {
      this.#turn = { resolve, reject };
    });
    this.promise = turn.then(() => job(() => this.#want()));
    const over = (): void => {
      this.#state = 'over';
      this.#changed();
    };
    this.promise.then(over, over);
  }

  get busy(): boolean {
    return this.#wanting === null;
  }

  readonly attempt = (): true | undefined => {
    if (this.#state === 'queued') {
      this.#state = 'working';
      this.#turn.resolve(null);
    }
    const bytes = this.#wanting === null ? undefined : this.#take();
    if (bytes !== undefined) this.#wanted()?.resolve(bytes);
    return this.#state === 'over' ? true : undefined;
  };

  /** The job has ended already. */
  resolve(): void {}

  /** No more bytes come. */
  reject(error: unknown): void {
    this.#turn.reject(error);
    this.#wanted()?.reject(error);
  }

  #want(): Promise<Buffer> {
    return new Promise<unknown>((resolve, reject) => {
      this.#wanting = { resolve, reject };
      this.#changed();
    }) as Promise<Buffer>;
  }

  #wanted(): Settling | null {
    const wanting = this.#wanting;
    this.#wanting = null;
    return wanting;
  }
}
