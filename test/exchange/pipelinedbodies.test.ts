import { expect, it } from 'vitest';
import type { Application } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { chunked, content } from '../support/bodies.ts';
import { exchanges, get, PLAIN, request } from '../support/exchange.ts';
import { eventually, text } from '../support/rawclient.ts';

const SIZES = [1000, 65_000, 66_000, 300_000, 3 * 1024 * 1024];

describeBackends('a body that is pipelined behind a slow request', (selector) => {
  const serve = exchanges();

  /** Answers GET some turns after the rest has come, and POST with whether its body is `body`. */
  function comparing(body: Buffer): Application {
    return async (environ, startResponse) => {
      if (environ.REQUEST_METHOD === 'GET') {
        for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 2));
        startResponse('200 OK', PLAIN);
        return environ.PATH_INFO;
      }
      const read = await environ['wsgi.input'].read();
      startResponse('200 OK', PLAIN);
      return read.equals(body) ? 'the same' : `${read.length} bytes`;
    };
  }

  it.each(
    (['stream', 'buffer'] as const).flatMap((inputBuffering) =>
      SIZES.map((size) => [size, inputBuffering] as const),
    ),
  )('of %i bytes is answered (%s)', async (size, inputBuffering) => {
    const body = content(size);
    const head = request('POST', '/', [`Content-Length: ${size}`]);
    const exchange = serve(comparing(body), { selector, inputBuffering });
    for (const post of [Buffer.concat([Buffer.from(head), body]), chunked(body, 20_000)]) {
      const client = await exchange.client();
      const message = Buffer.concat([Buffer.from(get('/a')), post, Buffer.from(get('/b'))]);
      client.socket.write(message);
      const answers = [];
      for (let i = 0; i < 3; i++) {
        const response = await client.response();
        answers.push([response.status, text(response)]);
      }
      expect(answers).toEqual([
        [200, '/a'],
        [200, 'the same'],
        [200, '/b'],
      ]);
      client.destroy();
    }
    await eventually(() => exchange.server.reactor.sockets.size === 0, 'both have left');
    expect(exchange.errors.getValue()).toBe('');
  });
});
