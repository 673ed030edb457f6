import { isInstance, RyegateError } from '../errors.ts';

/**
 * A request that is refused: thrown by the parsers, answered with `status` and followed by the
 * close of the connection, since the bytes after a refused request cannot be trusted.
 *
 * `code` is one of
 * - `ERR_RYEGATE_BAD_REQUEST_LINE`, `ERR_RYEGATE_BAD_TARGET`, `ERR_RYEGATE_BAD_FIELD`,
 *   `ERR_RYEGATE_BAD_HOST`, `ERR_RYEGATE_REPEATED_FIELD`, `ERR_RYEGATE_BAD_CONTENT_LENGTH`,
 *   `ERR_RYEGATE_BAD_TRANSFER_ENCODING`, `ERR_RYEGATE_BAD_CHUNK`, `ERR_RYEGATE_BAD_TRAILER`,
 *   `ERR_RYEGATE_CHUNK_EXTENSIONS_TOO_LARGE` (400),
 * - `ERR_RYEGATE_HEAD_TIMEOUT`, `ERR_RYEGATE_BODY_TIMEOUT` (408),
 *   `ERR_RYEGATE_LENGTH_REQUIRED` (411),
 * - `ERR_RYEGATE_BODY_TOO_LARGE` (413), `ERR_RYEGATE_TARGET_TOO_LONG` (414),
 *   `ERR_RYEGATE_EXPECTATION_FAILED` (417),
 * - `ERR_RYEGATE_HEAD_TOO_LARGE`, `ERR_RYEGATE_TRAILERS_TOO_LARGE` (431),
 * - `ERR_RYEGATE_UNKNOWN_TRANSFER_CODING` (501),
 *   `ERR_RYEGATE_BODY_BUFFER`, `ERR_RYEGATE_HANDLER_TIMEOUT` (503),
 *   `ERR_RYEGATE_UNSUPPORTED_VERSION` (505).
 */
export class HTTPError extends RyegateError {
  override readonly name: string = 'HTTPError';
  /** The status code of the answer, 400 to 599 (RFC 9110 section 15). */
  readonly status: number;

  constructor(status: number, code: string, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.status = status;
  }
}

/** What was thrown, when it says how to answer; null for a status that is no error's. */
export function asHTTPError(error: unknown): HTTPError | null {
  if (!isInstance(error, HTTPError)) return null;
  const { status } = error;
  return Number.isInteger(status) && status >= 400 && status <= 599 ? error : null;
}
