import { RyegateError } from '../errors.ts';

/**
 * The config module cannot be loaded, or an option names what is not there or may not be used: a
 * folder, a file, a user. The message is one line (`ERR_RYEGATE_CONFIG`, exit status 1).
 */
export class ConfigError extends RyegateError {
  override readonly name: string = 'ConfigError';

  constructor(message: string, options?: ErrorOptions) {
    super('ERR_RYEGATE_CONFIG', message.replace(/\s*[\r\n]+\s*/g, ' '), options);
  }
}
