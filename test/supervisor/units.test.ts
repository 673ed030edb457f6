import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { healthChecks, WSGIServer } from '../../src/index.ts';
import { root } from '../support/programs.ts';
import { requireTool } from '../support/tools.ts';

// The files beside the example program, as far as they can be checked without running them.

const read = (name: string): string => readFileSync(join(root, 'examples', name), 'utf8');

function setting(text: string, pattern: RegExp): string {
  const [, value] = pattern.exec(text) ?? [];
  if (value === undefined) throw new Error(`there is no ${pattern}`);
  return value;
}

describe('the units for systemd', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ryegate-units-'));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  function verify(service: string): string {
    requireTool('systemd-analyze', '--version', 'systemd');
    // Wherever Node is here.
    const here = service.replace('/usr/bin/node', process.execPath);
    writeFileSync(join(folder, 'ryegate.service'), here);
    cpSync(join(root, 'examples/systemd/ryegate.socket'), join(folder, 'ryegate.socket'));
    const units = ['ryegate.service', 'ryegate.socket'].map((name) => join(folder, name));
    const { stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...units], {
      encoding: 'utf8',
    });
    // What it says of units of the system itself is no matter here.
    return `${stdout}${stderr}`
      .split('\n')
      .filter((line) => /ryegate/.test(line))
      .join('\n');
  }

  it('are right, as systemd-analyze says', () => {
    expect(verify(read('systemd/ryegate.service'))).toBe('');
  });

  it('are right where workers serve', () => {
    expect(verify(read('systemd/ryegate-workers.service'))).toBe('');
  });

  it('would be found out if they were not', () => {
    const wrong = read('systemd/ryegate.service').replace('WatchdogSec=', 'WatchdogSek=');
    expect(verify(wrong)).toMatch(/Unknown key.*WatchdogSek/);
  });

  it('give requests the time that they need to finish', () => {
    for (const name of ['ryegate.service', 'ryegate-workers.service']) {
      const seconds = setting(read(`systemd/${name}`), /^TimeoutStopSec=(\d+)$/m);
      expect(Number(seconds)).toBeGreaterThan(WSGIServer.closeTimeout);
    }
  });
});

describe('the manifest for Kubernetes', () => {
  const manifest = read('kubernetes/deployment.yaml');

  it('is YAML', ({ skip }) => {
    const script =
      'import sys, yaml; print([part["kind"] for part in yaml.safe_load_all(sys.stdin)])';
    const { stdout, stderr } = spawnSync('python3', ['-c', script], {
      input: manifest,
      encoding: 'utf8',
    });
    if (/No module named 'yaml'/.test(stderr)) {
      console.warn("python3's yaml is missing (apt-get install python3-yaml): a test is skipped");
      skip();
    }
    expect([stderr, stdout]).toEqual(['', "['Deployment', 'Service']\n"]);
  });

  it('gives requests the time that they need to finish', () => {
    const grace = Number(setting(manifest, /terminationGracePeriodSeconds: (\d+)$/m));
    const delay = Number(setting(manifest, /name: DRAIN_DELAY\s+value: "(\d+)"$/m));
    expect(grace).toBeGreaterThan(delay + WSGIServer.closeTimeout);
    // Probes see in time that it is not ready.
    const [, ready = ''] = manifest.split('readinessProbe:');
    expect(delay).toBeGreaterThan(Number(setting(ready, /periodSeconds: (\d+)$/m)));
  });

  it('asks the paths that there are, at the port of the image', () => {
    const paths = [...manifest.matchAll(/path: (\S+)$/gm)].map(([, path]) => path as string);
    expect(paths).toEqual(['/healthz', '/healthz', '/readyz']);
    const app = healthChecks(() => {
      throw new Error('the path is not known');
    });
    for (const path of paths) {
      const environ = { REQUEST_METHOD: 'GET', PATH_INFO: path, SCRIPT_NAME: '' };
      const args = [environ, () => {}] as unknown as Parameters<typeof app>;
      expect(app(...args)).toBe('ok\n');
    }
    const port = setting(manifest, /containerPort: (\d+)$/m);
    const dockerfile = read('docker/Dockerfile');
    expect(setting(dockerfile, /^ENV .*\bPORT=(\d+)/m)).toBe(port);
    expect(setting(dockerfile, /^EXPOSE (\d+)$/m)).toBe(port);
    expect(dockerfile).toContain(`http://127.0.0.1:${port}${paths[0]}`);
  });
});

it.each(['systemd/ryegate.service', 'docker/Dockerfile'])('%s starts the program', (name) => {
  expect(read(name)).toMatch(/^(ExecStart|CMD).*\bservice\.mjs\b/m);
  for (const variable of read(name).match(/\b(HOST|PORT|DRAIN_DELAY)(?==)/g) ?? []) {
    expect(read('service.mjs')).toContain(`${variable} = `);
  }
});
