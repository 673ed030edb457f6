import { describe, expect, it } from 'vitest';
import { LOAD_NAMES } from '../../bench/harness/settings.ts';
import { sizesOf, TASK_NAMES, type Task, tasksOf } from '../../bench/workloads.ts';
import { readPage } from '../support/pages.ts';

const FILES = sizesOf(TASK_NAMES).map((name) => {
  return { name, bytes: 4096, path: `/${name}.bin`, sha256: '0' };
});
const tasks = tasksOf(TASK_NAMES, FILES);

function head({ workload }: Task): string[] {
  const [text = ''] = workload.request.toString('latin1').split('\r\n\r\n');
  return text.split('\r\n');
}

describe('the loads', () => {
  it('have a name of their own each, by which they are found', () => {
    expect(tasks.map(({ workload }) => workload.name)).toEqual(TASK_NAMES);
    expect(new Set(LOAD_NAMES).size).toBe(LOAD_NAMES.length);
    const titles = tasks.map(({ workload }) => workload.title);
    expect(new Set(titles).size).toBe(titles.length);
    expect(() => tasksOf(['hello-2'], [])).toThrow(/no load hello-2: there are hello-1, /);
  });

  it('are those that the page names', () => {
    const [, row = ''] =
      /^\| `--loads LIST` \|[^|]*\| (.*) \|$/m.exec(readPage('bench/README.md')) ?? [];
    expect(row.split(', ')).toEqual(LOAD_NAMES.map((name) => `\`${name}\``));
  });

  it.each(tasks.map((task) => [task.workload.name, task] as const))(
    '%s asks what is in its name',
    (name, task) => {
      const [line, ...fields] = head(task);
      const { request, connections, pipelined, close } = task.workload;
      expect(line).toMatch(/^(GET|POST) \/\S* HTTP\/1\.1$/);
      expect(fields).toContain('Host: localhost');
      const [, wanted] = /^hello-(\d+)$/.exec(name) ?? [];
      if (wanted !== undefined) expect(connections).toBe(Number(wanted));
      expect(pipelined).toBe(name === 'pipelined' ? 16 : 1);
      expect(close).toBe(name === 'close');
      expect(fields.includes('Connection: close')).toBe(close);
      expect(fields).toHaveLength(
        { browser: 7, varied: 8, close: 2 }[name] ?? (line?.[0] === 'P' ? 3 : 1),
      );
      const [, length = '0'] = /^Content-Length: (\d+)$/m.exec(fields.join('\n')) ?? [];
      expect(request.length).toBe(head(task).join('\r\n').length + 4 + Number(length));
    },
  );
});
