import type { HeaderList } from '../../http/headers.ts';
import { asHTTPError } from '../../http/httperror.ts';
import { standardError } from '../../io/errorstream.ts';
import { printable } from '../../logging/logtext.ts';
import { ServerHandler, WSGIRequestHandler } from '../../wsgi/index.ts';
import { coloured, colourOf, hasColours } from './colours.ts';
import { errorAnswer } from './errorpage.ts';
import { isFailing } from './failing.ts';

/** Answers exceptions with what a developer wants to know of them. */
class DevelopmentHandler extends ServerHandler {
  protected override errorOutput(error: unknown): void {
    // What the client did wrong is told as ever.
    if (asHTTPError(error) === null) this.#explain(error);
    super.errorOutput(error);
  }

  #explain(error: unknown): void {
    const { requestline, headers } = this.requestHandler;
    const fields = headers.items() as [string, string][];
    try {
      const report = { error, request: requestline, fields };
      const answer = errorAnswer(report, this.environ);
      this.errorHeaders = answer.headers as HeaderList;
      this.errorBody = answer.body;
    } catch (failure) {
      // What was thrown may be anything: then the usual page has to do.
      this.logException(failure);
    }
  }
}

/** As runserver's of Django: error pages that explain, and a log in colours. */
export class DevelopmentRequestHandler extends WSGIRequestHandler {
  static readonly colours: boolean = hasColours();

  override handleOneRequest(): void {
    const { response } = this.httpRequest;
    new DevelopmentHandler(this, response, this.getEnviron()).run(this.server.getApp());
  }

  override logRequest(code: number | string = '-', size: number | string = '-'): void {
    // Its page asks again and again, and what is wrong has been told.
    if (!this.server.logRequests || this.journal !== null || isFailing(this.server.getApp()))
      return;
    const colour = DevelopmentRequestHandler.colours ? colourOf(Number(code)) : '';
    this.#write(`"${this.requestline}" ${code} ${size}`, colour);
  }

  override logMessage(message: string): void {
    this.#write(message, '');
  }

  #write(message: string, colour: string): void {
    const line = `[${this.logDateTimeString()}] ${printable(message)}`;
    standardError().write(`${coloured(line, colour)}\n`);
  }
}
