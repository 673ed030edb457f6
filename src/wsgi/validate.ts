import { RyegateError } from '../errors.ts';
import { describe } from '../io/chunk.ts';
import { isThenable } from '../thenable.ts';
import type { Application, ApplicationResult, Environ } from './types.ts';
import { checkEnviron } from './validate/environ.ts';
import { checkedResult } from './validate/result.ts';
import { checkedStartResponse, ResponseRecord } from './validate/startresponse.ts';
import { checkedErrors, checkedInput } from './validate/streams.ts';
import { violation } from './validate/violation.ts';

/**
 * `wsgiref.validate.validator`: an application that does what `application` does, and checks that
 * it and its server keep to the contract (PEP 3333). For development and tests.
 *
 * A breach is thrown as a RyegateError `ERR_RYEGATE_VALIDATION` into whoever commits it, or from
 * the call that shows it. What is only doubtful is a process warning of type `WSGIWarning` and code
 * `RYEGATE_WSGI`, each text once. Results that a server never closes are such a warning too, as
 * far as they are garbage collected while the process runs.
 *
 * @throws RyegateError `ERR_RYEGATE_APPLICATION` for what is no function
 */
export function validator(application: Application): Application {
  if (typeof application !== 'function') {
    throw new RyegateError(
      'ERR_RYEGATE_APPLICATION',
      `validator() got ${describe(application)}: expected an application, a function of ` +
        '(environ, startResponse)',
    );
  }
  return (...args) => {
    if (args.length !== 2 || typeof args[1] !== 'function') {
      throw violation(
        'the application was not called with (environ, startResponse), an object and a function',
      );
    }
    const [environ, startResponse] = args;
    checkEnviron(environ);
    const isFileResult = fileResultTest(environ);
    // The application gets this very object: what it writes into it has to reach the server.
    environ['wsgi.input'] = checkedInput(environ['wsgi.input']);
    environ['wsgi.errors'] = checkedErrors(environ['wsgi.errors']);
    const record = new ResponseRecord();
    const settle = (result: unknown): ApplicationResult => {
      record.returned = true;
      // As it is: the server sends the file without reading it here.
      if (isFileResult(result)) return result;
      return checkedResult(result, record);
    };
    const result = application(environ, checkedStartResponse(startResponse, record));
    return isThenable(result) ? Promise.resolve(result).then(settle) : settle(result);
  };
}

/** For the file results of the server that made `environ`, whatever middleware puts into it. */
function fileResultTest(environ: Environ): (result: unknown) => result is ApplicationResult {
  const wrapper = environ['wsgi.file_wrapper'] as (abstract new () => object) | undefined;
  return (result): result is ApplicationResult =>
    wrapper !== undefined && result instanceof wrapper;
}
