import { defineConfig } from 'vitest/config';

/**
 * `npm run test:faults`: a whole fleet, a process per role, while its stores refuse or go silent (R2, R10), in a short form;
 * HOLD=60 has each outage last a minute. Outside `npm test`, since it is minutes of waiting; `.ci/run` runs it.
 */
export default defineConfig({
  test: {
    include: ['tests/outages/*.test.ts'],
    globalSetup: ['tests/support/global-setup.ts'],
    setupFiles: ['tests/support/leaks.ts'],
    pool: 'forks',
    // most of it is waiting
    maxWorkers: 4,
    hookTimeout: 240_000,
    retry: 0,
    reporters: ['verbose'],
  },
});
