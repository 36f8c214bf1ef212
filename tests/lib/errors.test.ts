import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeDb, createDb, type Db } from '../../src/db/client.ts';
import { orders } from '../../src/db/schema/index.ts';
import { actionOf, type FailureKind, messageOf, withoutParameters } from '../../src/lib/errors.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { thrownBy } from '../support/thrown-by.ts';

describe('T16: each kind of failure has one action', () => {
  it.each<[FailureKind, string]>([
    ['throttled', 'wait'],
    ['transient', 'retry'],
    ['malformed', 'retry'],
    ['notReady', 'retryLater'],
    ['credentials', 'pauseAccount'],
    ['bug', 'pauseAccount'],
    ['scope', 'pauseApi'],
    ['rejected', 'park'],
    ['sellerMustAct', 'park'],
    ['alreadyDone', 'verify'],
    ['unknownOutcome', 'verify'],
  ])('T16: %s → %s', (kind, action) => {
    expect(actionOf({ kind, message: '' })).toBe(action);
  });
});

describe('T18: what is logged and kept of a failed query', () => {
  let database: TestDatabase;
  let db: Db;
  beforeAll(async () => {
    database = await createTestDatabase();
    db = createDb(database.url, { max: 1, name: 'test' });
  });
  afterAll(async () => {
    await closeDb(db);
    await database.drop();
  });

  it('T18: a failed query’s parameters are in no message and no stack', async () => {
    const order = {
      source: 'temu',
      marketplaceOrderId: '1',
      shippingBuyerName: 'planted',
      storeId: crypto.randomUUID(),
    };
    for (const work of [
      () => db.insert(orders).values(order),
      () => db.transaction(async (tx) => await tx.insert(orders).values(order)),
    ]) {
      const error = await thrownBy(async () => await work());
      expect(String(error)).toContain('planted'); // what Drizzle makes of it
      expect(messageOf(error)).toMatch(/violates foreign key constraint/);
      expect(messageOf(error)).not.toContain('planted');
      expect(messageOf(new Error('saving failed', { cause: error }))).not.toContain('planted');
      const clean = withoutParameters(error) as Error;
      expect(`${clean.message} ${clean.stack}`).not.toContain('planted');
    }
  });
});

describe('the message of anything thrown', () => {
  it.each<[string, unknown, string]>([
    ['an error', new Error('one'), 'one'],
    ['its causes', new Error('one', { cause: new Error('two', { cause: 'three' }) }), 'one: two: three'],
    ['a cause that is quoted already', new Error('one: two', { cause: new Error('two') }), 'one: two'],
    ['a code where words are missing', Object.assign(new Error(''), { code: 'ECONNRESET' }), 'ECONNRESET'],
    ['a name where both are missing', new TypeError(''), 'TypeError'],
    ['a text', 'just this', 'just this'],
    ['nothing', undefined, ''],
    ['several lines', new Error('one\n  two'), 'one two'],
  ])('%s', (_, error, message) => {
    expect(messageOf(error)).toBe(message);
  });

  it('is never endless', () => {
    expect(messageOf(new Error('x'.repeat(100_000)))).toHaveLength(1_000);
  });
});
