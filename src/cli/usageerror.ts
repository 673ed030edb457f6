import { RyegateError } from '../errors.ts';

/** The command line is wrong; the message is one line (`ERR_RYEGATE_USAGE`, exit status 2). */
export class UsageError extends RyegateError {
  override readonly name: string = 'UsageError';

  constructor(message: string) {
    super('ERR_RYEGATE_USAGE', message.replace(/\s*[\r\n]+\s*/g, ' '));
  }
}
