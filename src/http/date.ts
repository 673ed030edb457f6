let cachedSecond = Number.NaN;
let cachedDate = '';

/** An IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7). */
export function httpDate(milliseconds: number): string {
  return new Date(milliseconds).toUTCString();
}

/**
 * The value of a `Date` field for now, or for `nowSeconds` (seconds since 1970; fractions are cut).
 * The last result is kept, so that a string is made once a second.
 */
export function currentHTTPDate(nowSeconds: number = Date.now() / 1000): string {
  const second = Math.floor(nowSeconds);
  if (second !== cachedSecond) {
    cachedDate = httpDate(second * 1000);
    cachedSecond = second;
  }
  return cachedDate;
}
