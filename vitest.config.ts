import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * They take a minute each, with whole fleets of processes: vitest begins with large files, and would leave these small ones
 * for an end of their own. One after the other, since together they starve a machine of two cores.
 */
const LONG = ['cli/start', 'faults/recovery', 'cli/up'].map((name) => `/tests/${name}.test.ts`);
const APART = 16;

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const longOf = ({ moduleId }: TestSpecification) => LONG.findIndex((name) => moduleId.endsWith(name));
    const sorted = await super.sort(files);
    const ordered = sorted.filter((file) => longOf(file) < 0);
    const long = sorted.filter((file) => longOf(file) >= 0).sort((a, b) => longOf(a) - longOf(b));
    for (const [index, file] of long.entries()) ordered.splice(index * APART, 0, file);
    return ordered;
  }
}

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    // they have runs of their own: vitest.stores.config.ts, vitest.faults.config.ts
    exclude: ['tests/stores/**', 'tests/outages/**'],
    globalSetup: ['tests/support/global-setup.ts'],
    setupFiles: ['tests/support/leaks.ts', 'tests/support/transactions.ts'],
    // real processes: what a test does to its own cannot disturb the run
    pool: 'forks',
    // files that run in one process share what they import: loading it for each took a third of the time. Nothing of ours
    // keeps anything in a module, and each file is held to leave nothing open (leaks.ts)
    isolate: false,
    // every file brings databases, queues and child processes of its own: more would starve a small machine
    maxWorkers: 4,
    // no measure of speed: it ends what hangs, also where other work keeps the machine busy
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // a test that passes the second time has found something
    retry: 0,
    sequence: { shuffle: false, concurrent: false, hooks: 'stack', sequencer: LongFirst },
  },
});
