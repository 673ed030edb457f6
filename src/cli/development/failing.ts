import { isInstance } from '../../errors.ts';
import type { Application } from '../../wsgi/index.ts';
import { ApplicationError } from '../../wsgi/loadapplication.ts';
import { headingPlace, type Place } from '../../wsgi/syntaxerror.ts';
import { type ErrorReport, errorAnswer, plainText } from './errorpage.ts';
import { framesOf, sourcePlace } from './stack.ts';

const HINT = 'The next save is loaded at once.';

/** Applications that only tell what is wrong with another. */
const failing = new WeakSet<Application>();

export function isFailing(application: Application): boolean {
  return failing.has(application);
}

/** Why there is no application, as the terminal is told and every request is answered. */
export interface LoadFailure {
  readonly text: string;
  readonly application: Application;
}

/** In place of an application that does not load. */
export function loadFailure(error: unknown): LoadFailure {
  const cause = isInstance(error, Error) && error.cause ? error.cause : error;
  const place = isInstance(error, ApplicationError) ? syntaxErrorPlace(error) : null;
  // Where the place is known, there is nothing that the original does not say.
  return failureOf({ error: cause, place, title: messageOf(place === null ? error : cause) });
}

/** For an exception that nobody caught. */
export function crashed(error: unknown): LoadFailure {
  return failureOf({ error, place: null, title: `the application crashed: ${messageOf(error)}` });
}

/** None for one that the application itself has come upon: its stack tells more. */
function syntaxErrorPlace({ cause, place }: ApplicationError): Place | null {
  if (!isInstance(cause, SyntaxError)) return null;
  const isThrown = framesOf(cause).some(({ own }) => own !== null);
  return sourcePlace(isThrown ? headingPlace(String(cause.stack)) : place);
}

function messageOf(error: unknown): string {
  if (!isInstance(error, Error)) return String(error);
  return error.name === 'ApplicationError' ? error.message : `${error.name}: ${error.message}`;
}

function failureOf(report: ErrorReport): LoadFailure {
  const application: Application = (environ, startResponse) => {
    const { headers, body } = errorAnswer({ ...report, hint: HINT }, environ);
    // To ask again for what a form has sent could do it twice.
    const isSafe = environ.REQUEST_METHOD === 'GET';
    startResponse('500 Internal Server Error', isSafe ? [...headers, ['Refresh', '1']] : headers);
    return body;
  };
  failing.add(application);
  return { text: plainText(report), application };
}
