import { RyegateError } from '../errors.ts';
import { HTTPError } from './httperror.ts';

// Why a connection, or a request on it, comes to an end before its time.

const CLIENT_GONE = 'the client went away before the request was complete';

export function clientGone(cause: Error | null): RyegateError {
  return new RyegateError('ERR_RYEGATE_CLIENT_GONE', CLIENT_GONE, cause === null ? {} : { cause });
}

/** The client finished sending within the body; it may be reading still. */
export function bodyCutOff(): HTTPError {
  return new HTTPError(400, 'ERR_RYEGATE_CLIENT_GONE', CLIENT_GONE);
}

export function bodyGone(): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_BODY_GONE',
    'the response is complete: the rest of the request body was discarded',
  );
}

export function headTimeout(seconds: number): HTTPError {
  return new HTTPError(
    408,
    'ERR_RYEGATE_HEAD_TIMEOUT',
    `the head took longer than ${seconds} seconds to arrive: send it faster`,
  );
}

export function bodyTimeout(): HTTPError {
  return new HTTPError(
    408,
    'ERR_RYEGATE_BODY_TIMEOUT',
    'the body came too slowly, or stopped: send it faster',
  );
}

export function handlerTimeout(): HTTPError {
  return new HTTPError(
    503,
    'ERR_RYEGATE_HANDLER_TIMEOUT',
    'the answer took longer than the server allows (timeouts.handler): try again later',
  );
}

export function tlsOnPlain(): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_TLS_ON_PLAIN',
    'a client spoke TLS to this port, which serves plain HTTP: use http:// in its address, or ' +
      'put a proxy that ends TLS in front',
  );
}

/** The first two bytes of a handshake record, of every version of TLS. */
const TLS_HANDSHAKE = 0x16;
const TLS_MAJOR = 0x03;

/** Whether `bytes` begin a TLS connection; null when one more byte has to tell. */
export function isTLSHello(bytes: Buffer, start: number, end: number): boolean | null {
  if (bytes[start] !== TLS_HANDSHAKE) return false;
  return end - start === 1 ? null : bytes[start + 1] === TLS_MAJOR;
}
