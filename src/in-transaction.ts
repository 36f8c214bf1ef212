import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * The check that nothing but a transaction's own statements is awaited inside it: what else is waited for there keeps its
 * locks and its connection meanwhile, and may need a connection that only its end would free.
 *
 * Tests switch it on, all of them (tests/support/transactions.ts). It is off where the fleet runs: on Node 20, where
 * AsyncLocalStorage works by hooks of every promise in the process, a transaction of three statements took 26 % more
 * processor time with it (520 against 413 µs; the bar is 1 %).
 */
let scopes: AsyncLocalStorage<{ open: boolean }> | undefined;
let breaches: string[] = [];

/** A mistake of ours, found by a test. */
export class AwaitedInTransaction extends Error {
  override name = 'AwaitedInTransaction';
  constructor(what: string) {
    super(`${what} inside a transaction: nothing but its own statements may be awaited there`);
  }
}

/** @returns a function that hands over what was awaited where it must not be since it was last called */
export function watchTransactions(): () => string[] {
  scopes ??= new AsyncLocalStorage();
  return () => {
    const found = breaches;
    breaches = [];
    return found;
  };
}

/** Runs the callback of a transaction. */
export async function insideTransaction<T>(work: () => Promise<T>): Promise<T> {
  if (!scopes) return await work();
  const scope = { open: true };
  try {
    return await scopes.run(scope, work);
  } finally {
    scope.open = false; // what it has left running is outside
  }
}

/** @returns the error for whoever is about to wait for `what`; undefined outside of transactions */
export function refusalInTransaction(what: string): AwaitedInTransaction | undefined {
  if (!scopes?.getStore()?.open) return undefined;
  const refusal = new AwaitedInTransaction(what);
  breaches.push(refusal.stack ?? refusal.message);
  return refusal;
}

/** @throws AwaitedInTransaction when it is called inside one */
export function notInTransaction(what: string): void {
  const refusal = refusalInTransaction(what);
  if (refusal) throw refusal;
}
