// An application in TypeScript. Node 22.18 and newer load it as it is:
//   ryegate examples/typescript-app.ts
import type { Application, Environ } from 'ryegate';

function greeting(environ: Environ): string {
  const name = new URLSearchParams(environ.QUERY_STRING).get('name');
  return `Hello, ${name ?? 'world'}!\n`;
}

export const app: Application = (environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain; charset=utf-8']]);
  return [greeting(environ)];
};
