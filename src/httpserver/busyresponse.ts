/** Seconds after which a client that was turned away may try again. */
const RETRY_AFTER = 1;

const body = 'The server has too many connections. Try again in a moment.\n';

/** Sent to a client for whom there is no room, before it has asked for anything. */
export const busyResponse: Buffer = Buffer.from(
  [
    'HTTP/1.1 503 Service Unavailable',
    `Retry-After: ${RETRY_AFTER}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${body.length}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n'),
);
