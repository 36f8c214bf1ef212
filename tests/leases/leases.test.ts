import { eq, sql } from 'drizzle-orm';
import { integer, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { closeDb, createDb, type Db } from '../../src/db/client.ts';
import {
  type Claim,
  ClaimLost,
  claim,
  explainUnclaimed,
  finish,
  release,
  renew,
  retry,
} from '../../src/leases/claim.ts';
import { defineWork } from '../../src/leases/define.ts';
import { defineClaims } from '../../src/leases/define-claims.ts';
import { claimEach, finishAll, writeEach } from '../../src/leases/each.ts';
import { enqueueDue } from '../../src/leases/enqueue.ts';
import { dueSince, sweepTasks } from '../../src/leases/sweep.ts';
import { defineQueue, type QueueDefinition } from '../../src/queue/define.ts';
import type { NewJob, Queues } from '../../src/queue/queues.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createGate } from '../support/gate.ts';
import { held as outside } from '../support/held.ts';

const time = (name: string) => timestamp(name, { withTimezone: true });
const parcels = pgTable('lease_test', {
  id: integer('id').primaryKey(),
  lot: integer('lot').notNull(),
  state: text('state', { enum: ['waiting', 'held', 'done', 'failed'] })
    .notNull()
    .default('waiting'),
  attempts: integer('attempts').notNull().default(0),
  error: text('error'),
  claim: uuid('claim'),
  dueAt: time('due_at').notNull(),
  offeredAt: time('offered_at'),
});

const LEASE_MS = 30_000;
const AGAIN_MS = 60_000;
const queue = defineQueue({
  ...{ name: 'lease-test', worker: 'scheduler' as const, concurrency: 1, attempts: 1, timeoutMs: 1_000 },
  ...{ payload: z.object({ id: z.number() }), backoff: { baseMs: 1, maxMs: 1 } },
});
const work = defineWork({
  table: parcels,
  key: [parcels.id],
  open: ['waiting', 'held'],
  ready: () => sql`${parcels.lot} <> 13`,
  enqueue: {
    queue,
    fields: { id: parcels.id },
    jobs: () => (due) => due.map(({ id, dueMs }) => ({ id: `${id}-${dueMs}`, payload: { id } })),
    sweepMs: 1_000,
    againMs: AGAIN_MS,
    chunk: 2,
    most: 7,
  },
});

let database: TestDatabase;
let db: Db;
let now: number;
let jobs: NewJob<unknown>[];
let refusing: boolean;

beforeAll(async () => {
  database = await createTestDatabase();
  db = createDb(database.url, { max: 4 });
  await database.sql`
    create table lease_test (id int primary key, lot int not null, state text not null default 'waiting',
      attempts int not null default 0, error text, claim uuid, due_at timestamptz not null, offered_at timestamptz)`;
});
afterAll(async () => {
  if (db) await closeDb(db);
  await database?.drop();
});
beforeEach(async () => {
  now = Date.UTC(2026, 0, 1);
  jobs = [];
  refusing = false;
  await db.delete(parcels);
});

/** A queue that takes jobs or refuses them; what becomes of them is the tests' business. */
const queues = {
  async add<P>(_: QueueDefinition<P>, added: readonly NewJob<P>[]) {
    if (refusing) throw new Error('the queue is away');
    jobs.push(...added);
  },
} as Pick<Queues, 'add'> as Queues;
const deps = () => ({ db, queues, clock: () => now });
const add = (...ids: number[]) =>
  db.insert(parcels).values(ids.map((id) => ({ id, lot: id % 10, dueAt: new Date(now) })));
const row = async (id: number) => (await db.select().from(parcels).where(eq(parcels.id, id)))[0];
const ONE = defineClaims(work, {
  where: sql`${parcels.id} = ${sql.placeholder('id')}`,
  fields: { id: parcels.id, attempts: parcels.attempts },
  set: { state: 'held' },
});
const LOT = defineClaims(work, {
  where: sql`${parcels.lot} = ${sql.placeholder('lot')}`,
  fields: { id: parcels.id },
});
const ANY = defineClaims(work, { where: sql`true`, fields: { id: parcels.id }, limited: true });
const take = (id: number, redelivered = false) =>
  claim(deps(), ONE, { id }, { leaseMs: LEASE_MS, redelivered });
const held = async (id: number): Promise<Claim> => {
  const claimed = await take(id);
  if (!claimed) throw new Error(`${id} could not be claimed`);
  return claimed;
};
const waiting = { set: { state: 'waiting' as const } };

describe('a claim', () => {
  test('counts an attempt, and is nobody else’s until its lease is over; then its holder may write nothing', async () => {
    await add(1);
    const first = await held(1);
    expect(await row(1)).toMatchObject({ state: 'held', attempts: 1, claim: first.token });
    expect(await take(1)).toBeUndefined();
    now += LEASE_MS;
    const second = await held(1);
    expect(await renew(deps(), first, LEASE_MS)).toBe(0);
    expect(await release(deps(), first, waiting)).toBe(0);
    expect(await retry(deps(), first, { dueAt: new Date(now), error: 'late' })).toBe(0);
    await expect(finish(deps(), first, 'done')).rejects.toThrow(ClaimLost);
    expect(await row(1)).toMatchObject({ state: 'held', attempts: 2, error: null, claim: second.token });
    await finish(deps(), second, 'done');
    expect(await row(1)).toMatchObject({ state: 'done', claim: null });
    expect(await take(1)).toBeUndefined();
  });

  test('of a dead worker’s job that comes again has its rows at once', async () => {
    await add(1);
    const dead = await held(1);
    expect(await take(1, true)).toMatchObject({ rows: [{ id: 1, attempts: 2 }] });
    expect(await renew(deps(), dead, LEASE_MS)).toBe(0);
  });

  test('of several rows has all of them once one is due, and none while another worker has one', async () => {
    await db.insert(parcels).values([
      { id: 1, lot: 5, dueAt: new Date(now) },
      { id: 2, lot: 5, dueAt: new Date(now + 3_600_000) },
      { id: 3, lot: 6, dueAt: new Date(now) },
    ]);
    const lot = () => claim(deps(), LOT, { lot: 5 }, { leaseMs: LEASE_MS });
    expect((await lot())?.rows.map(({ id }) => id).sort()).toEqual([1, 2]);
    await db.insert(parcels).values({ id: 4, lot: 5, dueAt: new Date(now) });
    expect(await lot()).toBeUndefined();
    expect(await take(3)).toBeDefined();
  });

  test('of so many takes those that have been due longest, past what others lock', async () => {
    await add(3, 2, 1);
    await db
      .update(parcels)
      .set({ dueAt: new Date(now - 1_000) })
      .where(eq(parcels.id, 2));
    const some = (limit: number) => claim(deps(), ANY, {}, { leaseMs: LEASE_MS, limit });
    const [locked, done] = [createGate(), createGate()];
    const locking = database.sql.begin(
      outside(async (tx) => {
        await tx`select from lease_test where id = 2 for update`;
        locked.open();
        await done.opened;
      }),
    );
    await locked.opened;
    expect((await some(5))?.rows.map(({ id }) => id).sort()).toEqual([1, 3]);
    done.open();
    await locking;
    expect((await some(1))?.rows).toEqual([{ id: 2 }]);
  });

  test('is released with its attempt, and retried without', async () => {
    await add(1);
    await release(deps(), await held(1), waiting);
    expect(await row(1)).toMatchObject({ state: 'waiting', attempts: 0, claim: null, dueAt: new Date(now) });
    const dueAt = new Date(now + 5_000);
    await retry(deps(), await held(1), { dueAt, error: 'no answer', ...waiting });
    expect(await row(1)).toMatchObject({ attempts: 1, claim: null, dueAt, error: 'no answer' });
    expect(await take(1)).toBeUndefined();
  });

  test('that cannot be had: its job waits for a turn that is near, and ends where another job has it', async () => {
    await add(1);
    const unclaimed = () => explainUnclaimed(deps(), ONE, { id: 1 });
    const claimed = await held(1);
    await db.update(parcels).set({ offeredAt: new Date(now) });
    expect(await unclaimed()).toEqual({ outcome: 'nothing to do' }); // somebody works on it
    const dueAt = new Date(now + 20_000);
    await retry(deps(), claimed, { dueAt, set: { offeredAt: dueAt } });
    await expect(unclaimed()).rejects.toMatchObject({ name: 'Wait', ms: 20_000 });
    await db.update(parcels).set({ dueAt: new Date(now + 90_000), offeredAt: new Date(now + 90_000) });
    expect(await unclaimed()).toEqual({ outcome: 'nothing to do' });
  });
});

describe('claims of several jobs at once', () => {
  const EACH_LOT = defineClaims(work, {
    where: sql`${parcels.lot} = ${sql.placeholder('lot')}`,
    fields: { id: parcels.id, lot: parcels.lot },
    each: [parcels.lot],
    set: { state: 'held' },
  });
  const lots = (numbers: number[], redelivered = false) =>
    claimEach(
      deps(),
      EACH_LOT,
      numbers.map((lot) => ({ lot })),
      { leaseMs: LEASE_MS, redelivered },
    );
  const idsOf = (claims: readonly Claim<{ id: number }>[]) =>
    claims.map(({ rows }) => rows.map(({ id }) => id).sort()).sort();

  test('have all rows of each, if one is due and no other worker has one', async () => {
    await add(1, 11, 2, 3, 13, 4);
    const later = new Date(now + 60_000);
    await db.update(parcels).set({ dueAt: later }).where(sql`${parcels.id} in (11, 4)`);
    await held(3);
    expect(idsOf(await lots([1, 2, 3, 4, 5]))).toEqual([[1, 11], [2]]);
    expect(await lots([1, 2, 3])).toEqual([]);
    expect(idsOf(await lots([3, 4], true))).toEqual([[13, 3], [4]]);
  });

  test('are written each on its own: one that lost a row writes none of its rows', async () => {
    await add(1, 11, 2, 12, 3);
    const claims = await lots([1, 2, 3]);
    await take(12, true); // another worker's now
    const dueAt = new Date(now + 7_000);
    const written = await writeEach(
      db,
      claims.map((claim) => ({ claim, rows: claim.rows })),
      { dueAt },
    );
    expect([...written].map(({ claim }) => claim.values)).toEqual([{ lot: 1 }, { lot: 3 }]);
    expect(await row(2)).toMatchObject({ dueAt: new Date(now + LEASE_MS) });
    for (const id of [1, 11, 3]) expect(await row(id)).toMatchObject({ dueAt });
    // some of its rows
    const [one] = claims as [Claim];
    await writeEach(db, [{ claim: one, rows: [{ id: 11 }] }], { error: 'why', state: 'held' });
    expect([await row(1), await row(11)]).toMatchObject([{ error: null }, { error: 'why' }]);
    await expect(db.transaction((tx) => finishAll(tx, claims, 'done'))).rejects.toThrow(ClaimLost);
    expect(await row(3)).toMatchObject({ state: 'held' });
    await db.transaction((tx) =>
      finishAll(
        tx,
        claims.filter(({ values }) => values.lot !== 2),
        'done',
      ),
    );
    expect(await row(3)).toMatchObject({ state: 'done', claim: null });
    expect(
      await writeEach(
        db,
        claims.slice(0, 1).map((claim) => ({ claim, rows: claim.rows })),
        { dueAt },
      ),
    ).toEqual(new Set());
  });
});

test('R1: due rows get one job, the longest due first, in chunks; lost ones another after a while; none that is not ready', async () => {
  await add(5, 4, 3, 2, 1, 23, 6, 7);
  await db.insert(parcels).values({ id: 99, lot: 13, dueAt: new Date(now) });
  await db
    .update(parcels)
    .set({ dueAt: new Date(now - 1_000) })
    .where(eq(parcels.id, 7));
  await db
    .update(parcels)
    .set({ dueAt: new Date(now + 1) })
    .where(eq(parcels.id, 6));
  expect(await enqueueDue(deps(), work)).toBe(7);
  expect(jobs.map(({ payload }) => payload)).toEqual([7, 1, 2, 3, 4, 5, 23].map((id) => ({ id })));
  expect(await enqueueDue(deps(), work)).toBe(0);
  now += AGAIN_MS + 1;
  expect(await enqueueDue(deps(), work)).toBe(8);
  expect(await enqueueDue(deps(), work, { where: eq(parcels.id, 5), againMs: -1 })).toBe(1);
});

test('R2: rows whose jobs the queue refused are the next sweep’s', async () => {
  await add(1, 2, 3);
  refusing = true;
  await expect(enqueueDue(deps(), work)).rejects.toThrow('the queue is away');
  refusing = false;
  expect(await enqueueDue(deps(), work)).toBe(3);
});

test('what is due is swept by its worker’s task, and seen by its age', async () => {
  expect([...(await dueSince(db, [], new Date(now)))]).toEqual([]);
  expect([...(await dueSince(db, [work, work], new Date(now)))]).toEqual([]);
  await add(1);
  now += 5_000;
  await add(2);
  expect([...(await dueSince(db, [work], new Date(now)))]).toEqual([['lease-test', now - 5_000]]);
  const [task, ...others] = sweepTasks(deps(), [work]);
  expect([task?.id, task?.everyMs, others]).toEqual(['scheduler-sweep', 1_000, []]);
  expect(await task?.run(new AbortController().signal)).toEqual({ offered: 2 });
});

/** What two workers may do, and how time goes on. */
const step = fc.oneof(
  fc.record({ do: fc.constant('claim' as const), by: fc.nat(1), redelivered: fc.boolean() }),
  fc.record({
    do: fc.constantFrom('renew' as const, 'release' as const, 'retry' as const, 'finish' as const),
    by: fc.nat(1),
  }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.nat(LEASE_MS) }),
);

test('A6: whatever two workers do in turn, only the last claim writes, and attempts are those that were not released (property)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      await db.delete(parcels);
      await add(1);
      const claims: (Claim | undefined)[] = [undefined, undefined];
      let holder: number | undefined;
      let leaseEnds = 0;
      let attempts = 0;
      let done = false;
      for (const one of steps) {
        if (one.do === 'wait') {
          now += one.ms;
          continue;
        }
        if (one.do === 'claim') {
          const claimed = await take(1, one.redelivered);
          const mayBeHad = !done && (one.redelivered || holder === undefined || now >= leaseEnds);
          expect(claimed !== undefined).toBe(mayBeHad);
          if (!claimed) continue;
          [claims[one.by], holder, leaseEnds] = [claimed, one.by, now + LEASE_MS];
          attempts++;
          continue;
        }
        const by = claims[one.by];
        if (!by) continue;
        const mine = holder === one.by;
        if (one.do === 'finish') {
          const ended = await finish(deps(), by, 'done').then(
            () => true,
            () => false,
          );
          expect(ended).toBe(mine);
          done ||= mine;
        } else {
          const dueAt = new Date(now);
          const written =
            one.do === 'renew'
              ? await renew(deps(), by, LEASE_MS)
              : await { release, retry }[one.do](deps(), by, { dueAt, ...waiting });
          expect(written).toBe(mine ? 1 : 0);
          if (mine && one.do === 'release') attempts--;
          if (mine && one.do === 'renew') leaseEnds = now + LEASE_MS;
        }
        if (mine && one.do !== 'renew') holder = undefined;
      }
      expect(await row(1)).toMatchObject({
        attempts,
        state: done ? 'done' : expect.stringMatching(/held|waiting/),
      });
    }),
    { numRuns: 150 },
  );
});
