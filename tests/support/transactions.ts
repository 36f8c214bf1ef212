/** Setup of every test file: fails the file if anything else is awaited inside a transaction than its own statements. */
import { afterAll } from 'vitest';
import { watchTransactions } from '../../src/lib/in-transaction.ts';

const found = watchTransactions();

afterAll(() => {
  const breaches = found();
  if (breaches.length > 0) throw new Error(`Awaited inside a transaction:\n${breaches.join('\n')}`);
});
