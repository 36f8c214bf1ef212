import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { closeDb, createDb, type Db } from '../../src/db/client.ts';
import { copyOut } from '../../src/db/copy.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let db: Db;
beforeAll(async () => {
  database = await createTestDatabase();
  db = createDb(database.url);
});
afterAll(async () => {
  await closeDb(db);
  await database.drop();
});

const two = { two: sql<number>`1 + 1` };

test('copyOut: rows as CSV with a header, and the transaction goes on', async () => {
  const copied = await db.transaction(async (tx) => {
    const csv = await copyOut(tx, sql`select n, 'a "word"' as said from generate_series(1, 2) n`, text);
    return [csv, await tx.select(two).from(sql`generate_series(1, 1)`)];
  });
  expect(copied).toEqual(['n,said\n1,"a ""word"""\n2,"a ""word"""\n', [{ two: 2 }]]);
});

test('copyOut: rows of any number are read to their end, and the transaction goes on', async () => {
  for (let rows = 1; rows < 300_000; rows = Math.ceil(rows * 1.3))
    await db.transaction(async (tx) => {
      const csv = await copyOut(tx, sql`select n from generate_series(1, ${sql.raw(`${rows}`)}) n`, text);
      expect(csv.split('\n')).toHaveLength(rows + 2);
      expect(await tx.select(two).from(sql`generate_series(1, 1)`)).toEqual([{ two: 2 }]);
    });
});

test('copyOut: a reader that gives up leaves a transaction that goes on', async () => {
  const rows = await db.transaction(async (tx) => {
    const failing = copyOut(
      tx,
      sql`select repeat('x', 1000) from generate_series(1, 200000)`,
      async (csv) => {
        const full = new Writable({ write: (_, __, done) => done(new Error('the disk is full')) });
        await pipeline(csv, full);
      },
    );
    await expect(failing).rejects.toThrow('the disk is full');
    return await tx.select(two).from(sql`generate_series(1, 1)`);
  });
  expect(rows).toEqual([{ two: 2 }]);
});

test('copyOut: a query that fails', async () => {
  const failing = db.transaction(async (tx) => {
    await copyOut(tx, sql`select 1 / (200000 - n) from generate_series(1, 300000) n`, text);
  });
  await expect(failing).rejects.toThrow('division by zero');
});
