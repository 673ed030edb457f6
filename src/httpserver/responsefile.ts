import type { Producer, Response } from '../http/response.ts';
import { PacedWriter } from '../io/pacedwriter.ts';

/** The `wfile` of an HTTP handler: writes to the body of one response. */
export class ResponseFile extends PacedWriter implements Producer {
  constructor(response: Response) {
    super(response);
    response.producer = this;
  }

  /** @internal */
  clientGone(): void {
    this.lost();
  }
}
