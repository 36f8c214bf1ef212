import { expect, test } from 'vitest';
import { readableStack } from '../../src/lib/stack.ts';
import { startProcess } from '../support/process.ts';

test('P8: a stack of what is deployed, which is a bundle, has the files and lines of the source', async () => {
  const program = startProcess('tests/support/stack-worker.ts');
  expect(await program.exited).toMatchObject({ code: 0 });
  expect(program.output()).toMatch(
    /^Error: a bug\n {4}at fails \(tests\/support\/stack-worker\.ts:4:9\)\n {4}at tests\/support\/stack-worker\.ts:8:3\n/,
  );
});

test('without a source map a stack stays as it is', () => {
  const stack = 'Error: a bug\n    at handle (file:///nowhere/chunk-A1.js:88:13)\n    at node:internal:1:1';
  expect(readableStack(stack)).toBe(stack);
});
