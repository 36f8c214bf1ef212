import { defineConfig } from 'vitest/config';

/**
 * `npm run test:stores`: what docs/deploy.md says of Postgres, poolers and Redis, tried with real servers that the tests
 * start themselves (R12). Outside `npm test`, since it takes minutes and wants programs that not every machine has.
 */
export default defineConfig({
  test: {
    include: ['tests/stores/*.test.ts'],
    globalSetup: ['tests/support/global-setup.ts'],
    setupFiles: ['tests/support/leaks.ts'],
    pool: 'forks',
    // each brings a handful of servers
    maxWorkers: 1,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    retry: 0,
    reporters: ['verbose'],
  },
});
