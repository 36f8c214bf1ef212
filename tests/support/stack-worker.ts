import { readableStack } from '../../src/lib/stack.ts';

function fails(): never {
  throw new Error('a bug');
}

try {
  fails();
} catch (error) {
  console.log(readableStack((error as Error).stack ?? ''));
}
