import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';

/** A descriptor that is kept back, so that a client can be turned away when there is none left. */
export class Reserve {
  #fd = -1;

  /** Whether there is one again. The system may have none to give. */
  refill(): boolean {
    if (this.#fd !== -1) return true;
    try {
      this.#fd = openSync(devNull, 'r');
    } catch {
      return false;
    }
    return true;
  }

  /** Gives it up. */
  spend(): void {
    if (this.#fd === -1) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }
}
