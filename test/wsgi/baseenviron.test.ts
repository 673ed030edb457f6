import { afterEach, expect, it } from 'vitest';
import { type Application, makeServer, validator, WSGIServer } from '../../src/index.ts';

let server: WSGIServer | undefined;

afterEach(() => server?.serverClose());

class ConfiguredServer extends WSGIServer {
  override setupEnviron(): ReturnType<WSGIServer['setupEnviron']> {
    return {
      ...super.setupEnviron(),
      SERVER_NAME: 'example.org',
      REQUEST_METHOD: 'never seen',
      'site.settings': { language: 'en' },
    };
  }
}

it('gives every application what a subclass of the server puts into the base environ', async () => {
  const app: Application = (environ, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'application/json']]);
    const { SERVER_NAME, REQUEST_METHOD } = environ;
    return JSON.stringify([SERVER_NAME, REQUEST_METHOD, environ['site.settings']]);
  };
  server = makeServer('127.0.0.1', 0, validator(app), { serverClass: ConfiguredServer });
  const serving = server.serveForever();
  const url = `http://127.0.0.1:${server.serverPort}/`;
  for (let request = 0; request < 2; request += 1) {
    expect(await (await fetch(url)).json()).toEqual(['example.org', 'GET', { language: 'en' }]);
  }
  await server.serverClose();
  await serving;
});
