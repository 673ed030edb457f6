import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const kqueueAddon = fileURLToPath(new URL('build-kqueue/Release/ryegate.node', import.meta.url));

export default defineConfig({
  test: {
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      { extends: true, test: { name: 'main', include: ['test/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'unix',
          include: ['exchange/**/*', 'files/sources', 'files/closing'].map(
            (name) => `test/${name}.test.ts`,
          ),
          env: { RYEGATE_TEST_ADDRESS: 'unix' },
        },
      },
      {
        // kqueue's code on Linux, over the shim in test/native.
        extends: true,
        test: {
          name: 'kqueue',
          include: [
            'test/{selectors,exchange,http1}/**/*.test.ts',
            'test/files/{delivery,sources,closing,changes}.test.ts',
          ],
          env: { RYEGATE_NATIVE: kqueueAddon, RYEGATE_TEST_BACKENDS: 'kqueue' },
        },
      },
    ],
  },
});
