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
        // kqueue's code on Linux, over the shim in test/native.
        extends: true,
        test: {
          name: 'kqueue',
          include: ['test/selectors/**/*.test.ts', 'test/exchange/**/*.test.ts'],
          env: { RYEGATE_NATIVE: kqueueAddon, RYEGATE_TEST_BACKENDS: 'kqueue' },
        },
      },
    ],
  },
});
