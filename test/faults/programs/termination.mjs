// An application for the cases of SIGTERM.
export function app(environ, startResponse) {
  if (environ.PATH_INFO === '/stuck') return new Promise(() => {});
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return environ.PATH_INFO === '/large' ? [Buffer.alloc(4 * 2 ** 20, 'x')] : ['hello\n'];
}
