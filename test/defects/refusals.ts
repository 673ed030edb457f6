import { expect } from 'vitest';
import type { Application } from '../../src/index.ts';
import { type Exchange, get, PLAIN } from '../support/exchange.ts';
import { field, parseResponse, type RawResponse } from '../support/rawclient.ts';

/** What no application may ever be asked for: it stands behind what has to be refused. */
export const FOLLOW_UP: string = get('/follow-up');

/** An application that notes the paths it is asked for, and reads no body. */
export function witness(): { paths: string[]; app: Application } {
  const paths: string[] = [];
  const app: Application = (environ, startResponse) => {
    paths.push(environ.PATH_INFO);
    startResponse('200 OK', PLAIN);
    return 'served';
  };
  return { paths, app };
}

/**
 * Sends `message` with a request behind it, in one segment. Expects one answer, the refusal, and
 * then the end of the connection.
 */
export async function expectRefused(
  exchange: Exchange,
  message: string,
  status = 400,
): Promise<RawResponse> {
  const client = await exchange.client();
  await client.send(message + FOLLOW_UP);
  const response = await client.response();
  expect(response.status).toBe(status);
  expect(field(response, 'Connection')).toBe('close');
  expect((await client.rest()).toString('latin1')).toBe('');
  client.destroy();
  return response;
}

/** All that the server sent until it closed the connection: one well-formed response. */
export function onlyResponse(bytes: Buffer, method = 'GET'): RawResponse {
  const parsed = parseResponse(bytes, method, true);
  if (parsed === null) throw new Error(`no whole response: ${JSON.stringify(`${bytes}`)}`);
  expect(bytes.toString('latin1', parsed.size)).toBe('');
  return parsed.response;
}
