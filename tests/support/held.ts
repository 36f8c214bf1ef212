import { AsyncResource } from 'node:async_hooks';
import type { TransactionSql } from 'postgres';

/** The callback of a transaction that a test holds open while it does other things, which is refused elsewhere. */
export const held = <T, On = TransactionSql>(work: (on: On) => Promise<T>) => AsyncResource.bind(work);
