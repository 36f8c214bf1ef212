import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrate } from '../../src/db/migrate.ts';
import { packageRoot } from '../../src/lib/package-root.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';

/** R6: 0013 makes kinds of what were sentences, in the rows that are there and in those of workers of the release before. */
const BEFORE = 13;
const REFUSED = 'Temu refused the store (3000034: no such token); the access token has expired';

let database: TestDatabase;
let sql: postgres.Sql;
let folder: string;
const ids: Record<string, string> = {};

beforeAll(async () => {
  database = await createEmptyDatabase();
  sql = postgres(database.url, { max: 1, onnotice: () => {} });
  folder = mkdtempSync(join(tmpdir(), 'migrations-'));
  cpSync(join(packageRoot(), 'drizzle'), folder, { recursive: true });
  const journal = join(folder, 'meta/_journal.json');
  const { entries, ...more } = JSON.parse(readFileSync(journal, 'utf8'));
  writeFileSync(journal, JSON.stringify({ ...more, entries: entries.slice(0, BEFORE) }));
  await migrate(database.url, { folder });
  const addStore = async (name: string, active: boolean, reason: string | null) => {
    const [row] = await sql`
      insert into temu_stores (name, region, country, app_key, app_secret, access_token, active, paused_reason)
      values (${name}, 'EU', 'RO', 'k', 's', 't', ${active}, ${reason}) returning id`;
    ids[name] = row?.id;
  };
  await addStore('refused', false, REFUSED);
  await addStore('by hand', false, 'Temu asked for holidays');
  await addStore('without a word', false, null);
  await addStore('on', true, null);
  const [order] = await sql`
    insert into orders (source, marketplace_order_id) values ('temu', 'PO-1') returning id`;
  ids.order = order?.id;
  await addPush('refused push', 'rejected', 'Temu says: no');
  await addPush('replaced push', 'rejected', 'replaced by X2 before Temu was told');
  await addPush('unmatched push', 'parked', UNMATCHED('GLS'));
  await addPush('parked push', 'parked', 'the order is cancelled');
  await addPush('new push', 'pending', null);
  await notice('store-paused', `store-paused-${ids.refused}-5d0c0f5e-0000-4000-8000-000000000000`);
  await notice('scope-missing', `scope-${ids.on}-orderList-20000`);
  await notice('webhook-stopped', `webhook-stopped-${ids.order}-1`);
  await notice('tracker-stopped', 'tracker-stopped velocity 1', { tracker: 'velocity' });
  await notice('awb-at-risk', `awb-at-risk-${ids.order}`, { orderId: ids.order });
  await notice('lost', `lost ${ids.order} 2026-11-29 10:00:00+00`);
  await notice('shipment.updated', `shipment.updated ${ids.order} delivered x`);
  await migrate(database.url);
});
afterAll(async () => {
  await sql.end();
  await database.drop();
  rmSync(folder, { recursive: true });
});

const UNMATCHED = (name: string) =>
  `none of Temu's carriers is called ${name}; choose one with: orderfleet carriers pin ${name} ID --store NAME. Candidates: none; x`;

async function addPush(awb: string, state: string, error: string | null) {
  const [row] = await sql`
    with made as (
      insert into shipments (order_id, awb_number, booking_courier, booked_at)
      values (${ids.order ?? ''}, ${awb}, 'x', now()) returning id, order_id)
    insert into temu_pushes (shipment_id, order_id, state, error) select id, order_id, ${state}, ${error} from made
    returning id`;
  ids[awb] = row?.id;
}
const notice = (kind: string, key: string, payload = {}) =>
  sql`insert into notices (kind, key, payload) values (${kind}, ${key}, ${sql.json(payload)})`;
const push = async (awb: string) =>
  (await sql`select state, unmatched_carrier as carrier from temu_pushes where id = ${ids[awb] ?? ''}`)[0];
const pausedBy = async (name: string) =>
  (await sql`select paused_by as by from temu_stores where name = ${name}`)[0]?.by;
const subjectOf = async (key: string) =>
  (await sql`select subject from notices where key like ${`${key}%`}`)[0]?.subject;

describe('R6: rows that were there before the migration', () => {
  test('pushes: replaced is a state, and one that waits for a pin names its carrier', async () => {
    expect(await push('refused push')).toEqual({ state: 'rejected', carrier: null });
    expect(await push('replaced push')).toEqual({ state: 'replaced', carrier: null });
    expect(await push('unmatched push')).toEqual({ state: 'parked', carrier: 'GLS' });
    expect(await push('parked push')).toEqual({ state: 'parked', carrier: null });
    expect(await push('new push')).toEqual({ state: 'pending', carrier: null });
  });

  test('stores: who paused them', async () => {
    const stores = ['refused', 'by hand', 'without a word', 'on'];
    expect(await Promise.all(stores.map(pausedBy))).toEqual(['temu', 'operator', 'operator', null]);
  });

  test('notices: what they are about', async () => {
    const keys = [
      'store-paused',
      'scope',
      'webhook-stopped',
      'tracker-stopped',
      'awb-at-risk',
      'lost',
      'shipment',
    ];
    expect(await Promise.all(keys.map(subjectOf))).toEqual([
      ...[ids.refused, ids.on, ids.order, 'velocity'],
      ...[ids.order, ids.order, null],
    ]);
  });
});

describe('R6: rows written by workers of the previous release', () => {
  test('a push that is replaced, one that waits for a pin, one that Temu refuses', async () => {
    await sql`update temu_pushes set state = 'rejected', error = 'replaced by X3 before Temu was told' where id = ${ids['new push'] ?? ''}`;
    expect(await push('new push')).toEqual({ state: 'replaced', carrier: null });
    await sql`update temu_pushes set state = 'parked', error = ${UNMATCHED('DPD')} where id = ${ids['new push'] ?? ''}`;
    expect(await push('new push')).toEqual({ state: 'parked', carrier: 'DPD' });
    await sql`update temu_pushes set state = 'rejected', error = 'no' where id = ${ids['parked push'] ?? ''}`;
    expect(await push('parked push')).toEqual({ state: 'rejected', carrier: null });
  });

  test('A7: an AWB that was replaced and is booked again', async () => {
    const again = await sql`
      with made as (select id, order_id from shipments where awb_number = 'replaced push')
      insert into temu_pushes (shipment_id, order_id, due_at, created_at)
      select id, order_id, now(), now() from made
      on conflict (shipment_id) do update set state = 'pending', error = null, due_at = excluded.due_at,
        offered_at = null, parked_order_time = null, created_at = greatest(temu_pushes.created_at, excluded.created_at)
      where temu_pushes.state in ('pending', 'parked', 'rejected') and temu_pushes.told_at is null
      returning state, error`;
    expect(again).toEqual([{ state: 'pending', error: null }]);
  });

  test('a store that is paused and resumed', async () => {
    await sql`update temu_stores set active = false, paused_reason = ${REFUSED} where name = 'on'`;
    expect(await pausedBy('on')).toBe('temu');
    await sql`update temu_stores set active = true, paused_reason = null where name = 'on'`;
    expect(await pausedBy('on')).toBeNull();
    await sql`update temu_stores set active = false, paused_reason = 'holidays' where name = 'on'`;
    expect(await pausedBy('on')).toBe('operator');
  });

  test('a notice that others look for by its subject', async () => {
    const [store, endpoint] = [crypto.randomUUID(), crypto.randomUUID()];
    await notice('store-paused', `store-paused-${store}-${crypto.randomUUID()}`);
    await notice('webhook-stopped', `webhook-stopped-${endpoint}-2`);
    expect(await subjectOf(`store-paused-${store}`)).toBe(store);
    expect(await subjectOf(`webhook-stopped-${endpoint}`)).toBe(endpoint);
  });

  test('rows written by this release stay as they were written', async () => {
    await sql`update temu_stores set active = false, paused_reason = 'Temu refused the store (no)', paused_by = 'operator' where name = 'on'`;
    expect(await pausedBy('on')).toBe('operator');
    await sql`insert into notices (kind, key, subject, payload) values ('store-paused', 'k', 'mine', '{}')`;
    expect(await subjectOf('k')).toBe('mine');
  });
});
