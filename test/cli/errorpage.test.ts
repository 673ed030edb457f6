import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { coloured, colourOf, hasColours } from '../../src/cli/development/colours.ts';
import { type ErrorReport, errorAnswer } from '../../src/cli/development/errorpage.ts';
import { framesOf, sourceLines, sourcePlace } from '../../src/cli/development/stack.ts';
import type { Environ } from '../../src/index.ts';
import { headingPlace } from '../../src/wsgi/syntaxerror.ts';

let folder: string;
let file: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ryegate-page-'));
  file = join(folder, 'app.js');
  const lines = Array.from({ length: 20 }, (_, index) => `line(${index + 1}, '<b>&"');`);
  writeFileSync(file, lines.join('\n'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function withStack(error: Error, ...frames: string[]): Error {
  error.stack = [`${error.name}: ${error.message}`, ...frames.map((f) => `    at ${f}`)].join('\n');
  return error;
}

function page(report: ErrorReport): string {
  return errorAnswer(report, { HTTP_ACCEPT: 'text/html,*/*' } as unknown as Environ).body;
}

describe('frames', () => {
  it('are the own ones where they are in files of the application', () => {
    const error = withStack(
      new Error('no'),
      `app (file://${file}:3:5)`,
      `async ${file}:4:1`,
      `new Thing (${folder}/node_modules/pkg/index.js:1:1)`,
      'node:internal/process/task_queues:95:5',
      `helper (${join(import.meta.dirname, '../../src/wsgi/handlers.ts')}:1:1)`,
      '<anonymous>',
    );
    expect(framesOf(error).map(({ name, own }) => [name, own?.line])).toEqual([
      ['app', 3],
      ['', 4],
      ['new Thing', undefined],
      ['', undefined],
      ['helper', undefined],
      ['', undefined],
    ]);
  });

  it('are not taken from the message, which a client may have a say in', () => {
    const error = new Error(`no such page: \n    at x (${file}:7:1)`);
    const own = framesOf(withStack(error, `app (${file}:3:5)`)).map((frame) => frame.own?.line);
    expect(own).toEqual([3]);
  });

  it('lead to no file that is no source', () => {
    const error = withStack(new Error('x'), 'x (/etc/passwd:1:1)', 'y (file:///etc/hosts:1:1)');
    expect(framesOf(error).map(({ own }) => own)).toEqual([null, null]);
    expect(sourcePlace(headingPlace('/etc/passwd:1\nroot'))).toBe(null);
  });

  it.each([['text'], [null], [undefined], [{ stack: 'x' }]])('%s has none', (thrown) => {
    expect(framesOf(thrown)).toEqual([]);
  });
});

it('the source is the line with those around it', () => {
  const lines = sourceLines({ file, line: 2 });
  expect(lines.map(({ line }) => line)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(lines.filter(({ isIt }) => isIt).map(({ line }) => line)).toEqual([2]);
  expect(sourceLines({ file: join(folder, 'none.js'), line: 1 })).toEqual([]);
});

describe('the page', () => {
  it('escapes all that comes from elsewhere', () => {
    const error = withStack(new Error('<script>1</script>'), `<i>f</i> (${file}:3:5)`);
    error.cause = new Error('<script>2</script>');
    const fields = [['x-evil', '<script>3</script>']] as const;
    const html = page({ error, request: 'GET /<script>4</script> HTTP/1.1', fields });
    expect(html.match(/<script/g)).toBe(null);
    for (const number of [1, 2, 3, 4]) expect(html).toContain(`&lt;script&gt;${number}`);
    expect(html).toContain("line(3, '&lt;b&gt;&amp;&quot;');");
    expect(html).toContain('in &lt;i&gt;f&lt;/i&gt;');
  });

  it('hides credentials', () => {
    const names = ['authorization', 'Proxy-Authorization', 'cookie', 'x-api-key', 'X-CSRF-Token'];
    const html = page({
      error: withStack(new Error('x')),
      fields: names.map((name) => [name, 'hunter2']),
    });
    expect(html).not.toContain('hunter2');
    expect(html.match(/\(hidden\)/g)).toHaveLength(names.length);
  });

  it('lets nothing in', () => {
    const { headers } = errorAnswer({ error: new Error('x') }, null);
    const policy = new Map(headers).get('Content-Security-Policy');
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'/);
  });

  it('goes to whoever asks for HTML, and text to others', () => {
    const error = new Error('x');
    const type = (accept?: string): unknown => {
      const environ = (accept === undefined ? {} : { HTTP_ACCEPT: accept }) as Environ;
      return new Map(errorAnswer({ error }, environ).headers).get('Content-Type');
    };
    expect(type('text/html')).toBe('text/html; charset=utf-8');
    expect(type('*/*')).toBe('text/plain; charset=utf-8');
    expect(type('application/json')).toBe('text/plain; charset=utf-8');
    expect(type()).toBe('text/plain; charset=utf-8');
  });

  it.each([['text'], [null], [undefined], [Symbol('s')], [Object.create(null)]])(
    'shows what is no error: %s',
    (thrown) => {
      expect(page({ error: thrown })).toContain('thrown: ');
    },
  );
});

describe('colours', () => {
  it.each([
    [{ FORCE_COLOR: '1' }, true],
    [{ FORCE_COLOR: '' }, true],
    [{ FORCE_COLOR: '0' }, false],
    [{ FORCE_COLOR: '1', NO_COLOR: '1' }, true],
    [{ NO_COLOR: '1' }, false],
  ])('%j', (env, expected) => {
    expect(hasColours(env)).toBe(expected);
  });

  it('are by status', () => {
    expect([200, 204, 304, 404, 500].map(colourOf)).toEqual(['', '', '36', '33', '1;31']);
    expect(coloured('x', '33')).toBe('\x1b[33mx\x1b[0m');
    expect(coloured('x', '')).toBe('x');
  });
});
