import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { openArchive } from '../../../src/ops/archive/files.ts';
import { archiveOrders } from '../../../src/ops/archive/orders.ts';
import {
  archiveStand,
  BEFORE,
  cutOffAfter,
  ended,
  expectRestored,
  OLD,
  PARTS,
  PERSONAL,
} from '../../support/archive.ts';
import type { TestDatabase } from '../../support/database.ts';
import { held } from '../../support/held.ts';

const MARCH = new Date('2025-03-01T00:00:00Z');

const stand = archiveStand();

const stored = async () =>
  (await stand.sql`select marketplace_order_id as number from orders order by 1`).map(({ number }) => number);

async function saveAll(): Promise<void> {
  for (const table of PARTS) await stand.sql.unsafe(`create table saved_${table} as select * from ${table}`);
  await stand.sql.unsafe(
    `update saved_orders set ${PERSONAL.map((column) => `${column} = null`).join(', ')}`,
  );
}

describe('P10: orders that ended', () => {
  test('are written with all that belongs to them, without their buyers (T18), and can be restored', async () => {
    await ended(stand.sql, '1');
    await ended(stand.sql, '2', '2025-04-30T23:59:59Z');
    await saveAll();
    await ended(stand.sql, '3', '2025-06-02T00:00:00Z');
    const done = await stand.run();
    expect(done).toMatchObject({ orders: 2, notices: 6 });
    expect(await stored()).toEqual(['3']);
    for (const table of [...PARTS, 'notices'])
      expect({ table, rows: await stand.countOf(table) }).toEqual({
        table,
        rows: table === 'notices' ? 3 : 1,
      });
    expect(stand.listed()).toHaveLength(2 * PARTS.length);
    await expectRestored(stand.sql, stand.dir, PARTS);
    for (const { file } of stand.listed())
      expect(gunzipSync(readFileSync(path.join(stand.dir, file))).toString()).not.toMatch(
        /Anna|a@b\.example/,
      );
    expect(await stand.run()).toMatchObject({ files: [], orders: 0, notices: 0 });
  });

  test.each<[string, (id: string) => Promise<unknown>]>([
    ['is to be shipped', (id) => stand.sql`update orders set status = 'Ready for Shipping' where id = ${id}`],
    ['is held', (id) => stand.sql`update orders set status = 'Pending' where id = ${id}`],
    [
      'has a parcel that is tracked',
      (id) => stand.sql`update shipments set tracked_by = 'gls' where order_id = ${id}`,
    ],
    [
      'has a parcel that was booked later',
      (id) => stand.sql`insert into shipments (order_id, awb_number, booking_courier, booked_at)
        values (${id}, 'LATER', 'D', '2025-07-01T00:00:00Z')`,
    ],
    [
      'has a status that nobody has mapped',
      (id) => stand.sql`update shipments set unmapped_word = 'x' where order_id = ${id}`,
    ],
    ...['pending', 'sending', 'unknown', 'parked', 'rejected'].map(
      (state): [string, (id: string) => Promise<unknown>] => [
        `has a push that is ${state}`,
        (id) => stand.sql`update temu_pushes set state = ${state} where order_id = ${id}`,
      ],
    ),
    ['has an error', (id) => stand.sql`update order_errors set resolved_at = null where order_id = ${id}`],
    ['was changed by Temu', () => stand.sql`update temu_order_inbox set state = 'pending'`],
    ['is quarantined', () => stand.sql`update temu_order_inbox set state = 'failed'`],
    ['has an AWB event that waits', () => stand.sql`update awb_events set state = 'waiting'`],
    [
      'has an AWB event that was given up, by its id',
      (id) =>
        stand.sql`insert into awb_events (key, payload, state) values ('x', ${stand.sql.json({ orderId: id })}, 'parked')`,
    ],
    [
      'changed since',
      (id) =>
        stand.sql`update orders set ended_at = null, order_modified_at = '2025-06-01T00:00:01Z' where id = ${id}`,
    ],
  ])('stay when one %s', async (_, change) => {
    await change(await ended(stand.sql, '1'));
    expect(await stand.run()).toMatchObject({ files: [], orders: 0, notices: 0 });
    expect(await stored()).toEqual(['1']);
    expect(await stand.countOf('notices')).toBe(3);
  });

  test('stay when something comes to one before it is locked; what comes later has no order any more', async () => {
    const id = await ended(stand.sql, '1');
    const db = stand.connect();
    const book = (on: TestDatabase['sql']) => on`
      insert into shipments (order_id, awb_number, booking_courier, booked_at) values (${id}, 'NEW', 'D', now())`;
    // booked in a transaction that ends while the archive waits for it
    let archived: ReturnType<typeof archiveOrders> | undefined;
    await stand.sql.begin(
      held(async (booking) => {
        await booking`select from shipments where order_id = ${id} for update`;
        await book(booking as never);
        archived = archiveOrders(db, await openArchive(stand.dir), MARCH, BEFORE);
        await new Promise((resolve) => setTimeout(resolve, 500));
      }),
    );
    expect(await archived).toBeUndefined();
    expect(await stored()).toEqual(['1']);

    await stand.sql`delete from shipments where awb_number = 'NEW'`;
    const archive = await openArchive(stand.dir);
    let late: Promise<unknown> | undefined;
    await archiveOrders(
      db,
      {
        ...archive,
        add: async (files) => {
          late = book(stand.sql).then(
            () => 'booked',
            (error: Error) => error.message,
          );
          await new Promise((resolve) => setTimeout(resolve, 300));
          await archive.add(files);
        },
      },
      MARCH,
      BEFORE,
    );
    expect(await late).toMatch(/violates foreign key constraint/);
    expect(await stored()).toEqual([]);
  });

  test('are archived again when a run was cut off before they were deleted: nothing lost, nothing twice', async () => {
    for (const number of ['1', '2', '3']) await ended(stand.sql, number);
    await saveAll();
    const db = stand.connect();
    await expect(archiveOrders(db, cutOffAfter(await openArchive(stand.dir)), MARCH, BEFORE)).rejects.toThrow(
      'cut off',
    );
    expect(stand.listed()).toHaveLength(PARTS.length);
    expect(await stored()).toEqual(['1', '2', '3']);
    await ended(stand.sql, '4');
    await stand.sql`update orders set status = 'Ready for Shipping' where marketplace_order_id = '4'`;
    expect((await stand.run()).orders).toBe(3);
    expect(await stored()).toEqual(['4']);
    expect(stand.listed()).toHaveLength(PARTS.length);
    await expectRestored(stand.sql, stand.dir, PARTS);
    expect(readdirSync(stand.dir).filter((file) => file.endsWith('.cut-off'))).toHaveLength(PARTS.length);
  });

  test('are archived when a run was killed while it deleted them, and that reached the database', async () => {
    await ended(stand.sql, '1');
    await saveAll();
    const archive = cutOffAfter(await openArchive(stand.dir));
    await expect(archiveOrders(stand.connect(), archive, MARCH, BEFORE)).rejects.toThrow('cut off');
    let next: ReturnType<typeof stand.run> | undefined;
    await stand.sql.begin(
      held(async (killed) => {
        for (const table of ['awb_events', 'temu_order_inbox', 'shipments', 'orders'])
          await killed.unsafe(`delete from ${table}`);
        next = stand.run();
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      }),
    );
    expect((await next)?.orders).toBe(0);
    await expectRestored(stand.sql, stand.dir, PARTS);
  });

  test('of a month of which some are archived already are in files of their own', async () => {
    await ended(stand.sql, '1');
    await ended(stand.sql, '2');
    await stand.sql`update temu_pushes set state = 'parked' where order_id = (select id from orders where marketplace_order_id = '2')`;
    await saveAll();
    await stand.run();
    await stand.sql`update temu_pushes set state = 'replaced'`;
    await stand.sql`update saved_temu_pushes set state = 'replaced' where state = 'parked'`;
    await stand.run();
    expect(
      stand
        .listed()
        .filter(({ table }) => table === 'orders')
        .map(({ file }) => file),
    ).toEqual([...['orders-2025-03.csv.gz', 'orders-2025-03-2.csv.gz']]);
    await expectRestored(stand.sql, stand.dir, PARTS);
  });

  test('leave what is sent, or waits to be, about others', async () => {
    const id = await ended(stand.sql, '1');
    await stand.sql`
      insert into notices (kind, key, subject, payload, state, created_at) values
        ('store-paused', 'a', gen_random_uuid()::text, '{}', 'sent', ${OLD}),
        ('order.rto', 'b', null, ${stand.sql.json({ event: { orderId: id } })}, 'failed', ${OLD}),
        ('order.rto', 'c', null, ${stand.sql.json({ event: { orderId: id } })}, 'pending', ${OLD}),
        ('lost', 'd', gen_random_uuid()::text, '{}', 'sent', '2025-06-01T00:00:00Z')`;
    expect((await stand.run()).notices).toBe(3);
    const left = await stand.sql`select key from notices order by 1`;
    expect(left.map(({ key }) => key)).toEqual(['a', 'b', 'c', 'd']);
  });
});
