import { Child, versionOf } from '../harness/processes.ts';
import type { Route } from '../harness/workload.ts';
import { script } from '../paths.ts';
import { freePort, listening } from './ports.ts';
import { announcedServer, type Peer, type RunningServer, runningServer } from './server.ts';

const WHOLE: ReadonlySet<Route> = new Set<Route>(['hello', 'echo']);
/** Of those that send a body of unknown length chunked, and not to the end of the connection. */
const WITH_CHUNKED: ReadonlySet<Route> = new Set<Route>([...WHOLE, 'chunked']);

/** Python leaves no compiled files beside its sources. */
const ENVIRONMENT = { PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1' };

/** Only the first knows Debian's packages, if another is on the PATH. */
const INTERPRETERS = ['/usr/bin/python3', 'python3'];

function interpreterWith(module: string): string | null {
  return INTERPRETERS.find((each) => versionOf(each, '-c', `import ${module}`) !== null) ?? null;
}

interface PythonServer {
  readonly name: string;
  readonly description: string;
  /** What Python imports. */
  readonly module: string;
  /** Debian's. */
  readonly debian: string;
  readonly routes: ReadonlySet<Route>;
  /** By default its program in bench/programs. */
  readonly start?: (interpreter: string) => Promise<RunningServer>;
}

function versionWithin(interpreter: string, module: string): string {
  const python = versionOf(interpreter, '-c', 'import platform; print(platform.python_version())');
  const code = `import importlib.metadata as m; print(m.version('${module}'))`;
  const own = versionOf(interpreter, '-c', code);
  return own === null ? `of Python ${python}` : `${own} on Python ${python}`;
}

function pythonServer(server: PythonServer): Peer {
  const { name, description, module, debian, routes } = server;
  const interpreter = (): string => interpreterWith(module) ?? 'python3';
  const start = server.start ?? ((python) => startProgram(python, name));
  return {
    name,
    description,
    routes,
    missing: () =>
      interpreterWith(module) === null ? `not installed (Debian: apt-get install ${debian})` : null,
    version: () => versionWithin(interpreter(), module),
    start: () => start(interpreter()),
  };
}

function startProgram(interpreter: string, name: string): Promise<RunningServer> {
  const args = [script(`${name}_server.py`)];
  return announcedServer(new Child('server', interpreter, args, ENVIRONMENT));
}

function gunicorn(name: string, description: string, options: readonly string[]): Peer {
  return pythonServer({
    name,
    description,
    module: 'gunicorn',
    debian: 'python3-gunicorn',
    routes: WITH_CHUNKED,
    start: async (interpreter) => {
      const common = ['--bind', '127.0.0.1:0', '--workers', '1', '--graceful-timeout', '1'];
      const folder = ['--chdir', script('.')];
      const args = ['-m', 'gunicorn', ...common, ...folder, ...options, 'application'];
      const child = new Child('server', interpreter, args, ENVIRONMENT);
      const [, port] = await child.says(/Listening at: \S+:(\d+).*Booting worker/s, 'stderr');
      return await runningServer(child, Number(port));
    },
  });
}

const uwsgi: Peer = {
  name: 'uwsgi',
  description: '--http with --http-keepalive, a router and a worker, one thread',
  // Its chunks are what the router happens to receive.
  routes: WHOLE,
  missing: () =>
    versionOf('uwsgi', '--plugins', 'http,python3', '--version') === null
      ? 'not installed (Debian: apt-get install uwsgi-core uwsgi-plugin-python3)'
      : null,
  version: () => versionOf('uwsgi', '--version') ?? '',
  start: async () => {
    const port = await freePort();
    const child = new Child(
      'server',
      'uwsgi',
      [
        ...['--plugins', 'http,python3', '--http', `127.0.0.1:${port}`],
        ...['--http-keepalive', '--wsgi-file', script('application.py'), '--need-app'],
        ...['--master', '--processes', '1', '--listen', '1024', '--die-on-term'],
        '--disable-logging',
      ],
      ENVIRONMENT,
    );
    await child.says(/spawned uWSGI http/, 'stderr');
    await listening(port, child);
    return await runningServer(child, port);
  },
};

export const pythonPeers: readonly Peer[] = [
  gunicorn('gunicorn', 'one sync worker, which closes each connection', []),
  gunicorn('gunicorn-gthread', 'one gthread worker, one thread', [
    ...['--worker-class', 'gthread', '--threads', '1', '--keep-alive', '65'],
    ...['--worker-connections', '10000'],
  ]),
  pythonServer({
    name: 'waitress',
    description: 'one thread, poll()',
    module: 'waitress',
    debian: 'python3-waitress',
    routes: WITH_CHUNKED,
  }),
  pythonServer({
    name: 'cheroot',
    description: 'one thread',
    module: 'cheroot',
    debian: 'python3-cheroot',
    routes: WITH_CHUNKED,
  }),
  pythonServer({
    name: 'gevent',
    description: 'gevent.pywsgi',
    module: 'gevent',
    debian: 'python3-gevent',
    routes: WITH_CHUNKED,
  }),
  pythonServer({
    name: 'tornado',
    description: 'WSGIContainer, which puts a body together before it sends it',
    module: 'tornado',
    debian: 'python3-tornado',
    routes: WHOLE,
  }),
  pythonServer({
    name: 'twisted',
    description: 'WSGIResource, one thread',
    module: 'twisted',
    debian: 'python3-twisted',
    routes: WITH_CHUNKED,
  }),
  uwsgi,
  pythonServer({
    name: 'wsgiref',
    description: 'simple_server, HTTP/1.0: it closes each connection',
    module: 'wsgiref',
    debian: 'python3',
    routes: WHOLE,
  }),
];
