// A thread module: tells, in files of the folder `data`, that it was called.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { WSGIRequestHandler } from '../../dist/index.js';
import { app } from './poolapp.mjs';

class Handler extends WSGIRequestHandler {
  getEnviron() {
    const environ = super.getEnviron();
    if (environ.PATH_INFO === '/handler') environ.PATH_INFO = '/multiprocess';
    return environ;
  }
}

export async function startThread(context) {
  const { data } = context;
  const log = (name) => appendFileSync(join(data.folder, name), 'called\n');
  if (data.fails) throw new Error('this module fails');
  if (data.makes !== undefined) return data.makes;
  const application = (environ, startResponse) => {
    if (environ.PATH_INFO !== '/draining') return app(environ, startResponse);
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return String(context.draining);
  };
  return {
    application,
    requestHandlerClass: Handler,
    server: { errorLog: { write: (text) => appendFileSync(join(data.folder, 'errors'), text) } },
    reopenLogs: () => log('reopened'),
    close: async () => log('closed'),
  };
}
