import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    globalSetup: ['tests/support/global-setup.ts'],
    setupFiles: ['tests/support/leaks.ts'],
    // real processes: a test file that leaves something open cannot disturb the next one
    pool: 'forks',
    // every file brings databases, queues and child processes of its own: more would starve a small machine
    maxWorkers: 3,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // a test that passes the second time has found something
    retry: 0,
    sequence: { shuffle: false, concurrent: false, hooks: 'stack' },
  },
});
