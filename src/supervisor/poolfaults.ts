import { RyegateError } from '../errors.ts';
import type { PoolThread } from './poolthread.ts';

export function hung({ threadId, servingSince }: PoolThread, timeout: number): RyegateError {
  const what = servingSince === null ? 'did not begin to serve' : 'has not turned its loop';
  return new RyegateError(
    'ERR_RYEGATE_THREAD_HUNG',
    `thread ${threadId} ${what} for ${timeout} seconds and is replaced: its application must not ` +
      'block that long, or the timeout of the pool has to be raised',
  );
}

export function notStarted(cause: unknown): RyegateError {
  const message = 'a thread could not be started: see the cause';
  return new RyegateError('ERR_RYEGATE_THREAD_ENDED', message, { cause });
}

export function stopped(): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_SERVER_CLOSED',
    'the pool does not run: start() it first, and make another one after stop()',
  );
}
