import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openWindows } from '../../../src/temu/orders/index.ts';
import { nextSync, pruneWindows } from '../../../src/temu/orders/schedule-windows.ts';
import { type Stand, startStand } from '../../support/fleet.ts';

let stand: Stand;
beforeEach(async () => {
  stand = await startStand();
});
afterEach(() => stand.close());

const sql = () => stand.stack.sql;
const STORES = 2_500;
const addStores = (stores = STORES) => sql()`
  insert into temu_stores (name, region, country, app_key, app_secret, access_token, next_sync_at)
  select 'store-' || n, 'EU', 'RO', 'key-' || n, '', '', now() - interval '1 minute' from generate_series(1, ${stores}::int) n`;

describe('P10: thousands of stores', () => {
  test('that are due at once get a window each in three statements, and their next sync (T2)', async () => {
    await addStores();
    const before = stand.deps.clock();
    const opened = await openWindows(stand.deps);
    const after = stand.deps.clock();
    expect(new Set(opened).size).toBe(STORES);
    const rows = await sql()<{ id: string; next: Date; windows: number; offered: number }[]>`
      select s.id, next_sync_at as next, count(w.id)::int as windows, count(w.offered_at)::int as offered
      from temu_stores s left join temu_sync_windows w on w.store_id = s.id group by s.id`;
    expect(rows).toHaveLength(STORES);
    const wrong = rows.filter(
      ({ id, next, windows, offered }) =>
        windows !== 1 || offered !== 1 || next < nextSync(id, before) || next > nextSync(id, after),
    );
    expect(wrong).toEqual([]);
    expect([
      ...(await sql()`select count(distinct xmin::text)::int as transactions from temu_stores`),
    ]).toEqual([{ transactions: Math.ceil(STORES / 1_000) }]);
    expect(await openWindows(stand.deps)).toEqual([]);
  });

  test('whose windows two schedulers open at once get one each', async () => {
    await addStores();
    const both = await Promise.all([openWindows(stand.deps), openWindows(stand.deps)]);
    expect(new Set(both.flat()).size).toBe(STORES);
    expect([...(await sql()`select count(*)::int as windows from temu_sync_windows`)]).toEqual([
      { windows: STORES },
    ]);
  });

  test('forget windows of a month ago, and none that is open or younger', async () => {
    await addStores(3);
    await sql()`
      insert into temu_sync_windows (store_id, window_start, window_end, state, created_at)
      select id, now(), now(), state, now() - age * interval '1 day'
      from temu_stores, (values ('complete', 29), ('complete', 31), ('complete', 90), ('open', 60)) w(state, age)`;
    expect(await pruneWindows(stand.deps.db, stand.deps.clock())).toBe(6);
    const left = await sql()`
      select state, round(extract(epoch from now() - created_at) / 86400)::int as age, count(*)::int as stores
      from temu_sync_windows group by 1, 2 order by 2`;
    expect([...left]).toEqual([
      { state: 'complete', age: 29, stores: 3 },
      { state: 'open', age: 60, stores: 3 },
    ]);
  });

  test('forget them by the index of each store, not by reading all windows', async () => {
    await addStores(50);
    await sql()`
      insert into temu_sync_windows (store_id, window_start, window_end, state, created_at)
      select id, now(), now(), 'complete', now() - n * interval '1 hour' from temu_stores, generate_series(1, 721) n`;
    await sql()`analyze temu_sync_windows`;
    const scans = async () => {
      const [row] = await sql()<{ n: number }[]>`
        select seq_scan::int as n from pg_stat_user_tables where relname = 'temu_sync_windows'`;
      return row?.n;
    };
    const plan = (await scans()) ?? 0;
    expect(await pruneWindows(stand.deps.db, stand.deps.clock())).toBe(100); // of 720 and 721 hours
    await stand.deps.db.execute('select pg_stat_force_next_flush()');
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(await scans()).toBe(plan);
  });
});
