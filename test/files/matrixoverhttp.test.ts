import { describe, expect, it } from 'vitest';
import { staticFiles } from '../../src/files/index.ts';
import { httpDate } from '../../src/http/date.ts';
import { errorPage } from '../../src/http/errorpage.ts';
import { reasonPhrase } from '../../src/http/status.ts';
import { type Exchange, exchanges, get, request } from '../support/exchange.ts';
import { field, type RawResponse } from '../support/rawclient.ts';
import { conditionMatrix, type MatrixCase, type MatrixStatus } from './matrix.ts';
import { MODIFIED, pattern, siteFolders } from './sitefolder.ts';

const CLIENTS = 4;
/** Requests that are sent at once, before the first answer is read. */
const BATCH = 60;
const CONTENT = pattern(1000);

/** Those of every response to a connection that is kept. */
const GENERAL = ['connection', 'date', 'keep-alive', 'server'];

/** All fields of a response but the general ones, by their names in lower case. */
function fieldsOf(response: RawResponse): Record<string, string> {
  const fields = response.fields.map(([name, value]) => [name.toLowerCase(), value]);
  return Object.fromEntries(fields.filter(([name]) => !GENERAL.includes(name as string)));
}

/** What RFC 9110 has each status carry: sections 15.3.1, 15.3.7, 15.4.5, 15.5.13 and 15.5.17. */
function expectedFields(
  { status, contentRange }: MatrixCase,
  etag: string,
): Record<string, string | undefined> {
  const validators = {
    etag,
    'last-modified': httpDate(MODIFIED * 1000),
    'cache-control': 'max-age=60',
    vary: 'Accept-Encoding',
  };
  if (status === 304) return validators;
  const described = {
    'x-content-type-options': 'nosniff',
    ...validators,
    'accept-ranges': 'bytes',
  };
  const type = { 'content-type': 'text/plain; charset=utf-8' };
  if (status === 200) return { ...described, ...type, 'content-length': `${CONTENT.length}` };
  if (status === 206) {
    return { ...described, ...type, 'content-length': '1', 'content-range': contentRange };
  }
  const page = {
    'x-content-type-options': 'nosniff',
    'content-type': 'text/html; charset=utf-8',
    'content-length': `${errorPage(status, reasonPhrase(status)).length}`,
  };
  return status === 416 ? { ...page, 'content-range': contentRange } : page;
}

/** What is wrong with an answer; null when nothing is. */
function fault(entry: MatrixCase, response: RawResponse, etag: string): string | null {
  const { status, method } = entry;
  if (response.status !== status) return `${response.status}, not ${status}`;
  const fields = JSON.stringify(Object.entries(fieldsOf(response)).sort());
  const expected = JSON.stringify(Object.entries(expectedFields(entry, etag)).sort());
  if (fields !== expected) return `the fields ${fields}, not ${expected}`;
  if (method === 'HEAD' || status === 304) return null;
  const { body } = response;
  return body.equals(expectedBody(status)) ? null : `the body ${body.toString('latin1')}`;
}

function expectedBody(status: MatrixStatus): Buffer {
  if (status === 200) return CONTENT;
  return status === 206 ? CONTENT.subarray(1, 2) : errorPage(status, reasonPhrase(status));
}

function render({ method, fields }: MatrixCase): string {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  return request(method, '/file.txt', lines);
}

/** Sends its share of the cases, a batch at a time, on one connection. */
async function run(exchange: Exchange, cases: MatrixCase[], etag: string): Promise<string[]> {
  const client = await exchange.client();
  const wrong: string[] = [];
  for (let at = 0; at < cases.length; at += BATCH) {
    const batch = cases.slice(at, at + BATCH);
    await client.send(batch.map(render).join(''));
    for (const entry of batch) {
      const problem = fault(entry, await client.response(entry.method), etag);
      if (problem !== null) wrong.push(`${entry.name}: ${problem}`);
    }
  }
  return wrong;
}

describe.each([
  ['from memory', 64 * 1024],
  ['by sendfile(2)', 0],
])('the conditional matrix over HTTP, the file %s', (_, fileBytes) => {
  const serve = exchanges();
  const makeFolder = siteFolders();

  it('has the answers of RFC 9110 section 13.2.2, field by field', {
    timeout: 120_000,
  }, async () => {
    const folder = makeFolder();
    folder.write('file.txt', CONTENT);
    const site = staticFiles(folder.root, {
      precompressed: true,
      maxAge: 60,
      cache: { fileBytes, revalidate: 3600 },
    });
    // The validator would have it read block by block.
    const exchange = serve(site, { validate: fileBytes > 0 });
    const etag = field(await exchange.ask(get('/file.txt')), 'ETag') ?? '';
    const cases = [
      ...conditionMatrix({
        etag,
        lastModified: MODIFIED * 1000,
        size: CONTENT.length,
        dateIsStrong: true,
      }),
    ];
    const share = Math.ceil(cases.length / CLIENTS);
    const shares = Array.from({ length: CLIENTS }, (_, i) =>
      cases.slice(i * share, (i + 1) * share),
    );
    const wrong = await Promise.all(shares.map((part) => run(exchange, part, etag)));
    expect(cases).toHaveLength(64_800);
    expect(wrong.flat().slice(0, 10)).toEqual([]);
    expect(exchange.errors.getValue()).toBe('');
    site.close();
  });
});
