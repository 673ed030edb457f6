import { afterEach, describe, expect, it } from 'vitest';
import {
  type Application,
  makeServer,
  validator,
  WSGIRequestHandler,
  WSGIServer,
} from '../../src/index.ts';

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

/** What the applications of `made` are told by the key `site.name`, request after request. */
async function told(made: WSGIServer, requests: number): Promise<unknown[]> {
  server = made;
  const serving = made.serveForever();
  const answers: unknown[] = [];
  for (let request = 0; request < requests; request += 1) {
    const response = await fetch(`http://127.0.0.1:${made.serverPort}/`);
    answers.push(await response.text());
  }
  await made.serverClose();
  await serving;
  return answers;
}

describe('a key that is added', () => {
  const app: Application = (environ, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return String(environ['site.name']);
  };

  it('to the base environ between two requests is there from then on', async () => {
    const adding: Application = (environ, startResponse) => {
      (server as WSGIServer).baseEnviron['site.name'] = 'added';
      return app(environ, startResponse);
    };
    expect(await told(makeServer('127.0.0.1', 0, adding), 3)).toEqual([
      'undefined',
      'added',
      'added',
    ]);
  });

  it('by an accessor baseEnviron of a subclass is seen', async () => {
    class Accessing extends WSGIServer {
      override get baseEnviron(): WSGIServer['baseEnviron'] {
        return { ...super.baseEnviron, 'site.name': 'accessed' };
      }
    }
    const made = makeServer('127.0.0.1', 0, app, { serverClass: Accessing });
    expect(await told(made, 2)).toEqual(['accessed', 'accessed']);
  });

  it('by a setupEnviron() that replaces the usual one is seen', async () => {
    const { setupEnviron } = WSGIServer.prototype;
    WSGIServer.prototype.setupEnviron = function () {
      return { ...setupEnviron.call(this), 'site.name': 'replaced' };
    };
    try {
      expect(await told(makeServer('127.0.0.1', 0, app), 2)).toEqual(['replaced', 'replaced']);
    } finally {
      WSGIServer.prototype.setupEnviron = setupEnviron;
    }
  });
});

it('serves an application that was set while the server was being made', async () => {
  class Early extends WSGIServer {
    override serverBind(): void {
      super.serverBind();
      this.setApp((_environ, startResponse) => {
        startResponse('200 OK', []);
        return 'early';
      });
    }
  }
  const made = new Early(['127.0.0.1', 0], WSGIRequestHandler);
  expect(await told(made, 1)).toEqual(['early']);
});

it('asks for logRequest() each time: it may be replaced while a connection is open', async () => {
  const logged: unknown[] = [];
  class Late extends WSGIRequestHandler {
    override handleOneRequest(): void {
      super.handleOneRequest();
      this.logRequest = (code) => logged.push(code);
    }
  }
  const app: Application = (_environ, startResponse) => {
    startResponse('200 OK', []);
    return '';
  };
  await told(makeServer('127.0.0.1', 0, app, { handlerClass: Late, logRequests: false }), 3);
  expect(logged.length).toBeGreaterThan(0);
});
