import { setTimeout as sleep } from 'node:timers/promises';
import type { Measured } from '../../docs/performance.ts';
import { commonSettings } from '../support/builds.ts';
import type { Context } from '../support/case.ts';
import { connect, tidy } from '../support/tables.ts';
import { measuredOnce, once } from './rows.ts';

/** T2: a store's sync comes round in this time. */
const SYNC_EVERY_SECONDS = 300;
/** A scheduler that has just started sets up what recurs. */
const SETTLE_MS = { full: 12_000, quick: 2_000 };
/** A burst that takes longer is no burst. */
const PATIENCE_MS = 120_000;

/**
 * The built scheduler with so many stores whose syncs are spread over five minutes. Nobody reads the windows that it opens:
 * in `seconds` no store is due twice, and no job counts as lost. Then all stores that are left are due at once.
 */
export async function scheduler(
  { stage, ours, backend, quick }: Context,
  sizes: readonly number[],
  seconds: number,
): Promise<Measured> {
  const settleMs = quick ? SETTLE_MS.quick : SETTLE_MS.full;
  const rows = [];
  let most = 0;
  for (const stores of sizes) {
    const env = {
      ...commonSettings(),
      ...stage.queues(backend),
      ...{ DATABASE_URL: await stage.database('scheduler'), TRACKERS: 'none' },
    };
    await ours.command(env, 'migrate');
    const sql = connect(env.DATABASE_URL);
    await sql`
      insert into temu_stores (name, region, country, app_key, app_secret, access_token, last_synced_at, next_sync_at)
      select 'store-' || n, 'EU', 'RO', 'key-' || n, '', '', now(),
        now() + ${settleMs} * interval '1 ms' + random() * ${SYNC_EVERY_SECONDS} * interval '1 second'
      from generate_series(1, ${stores}::int) n`;
    await tidy(sql);
    const child = await ours.start('scheduler', env);
    const name = `scheduler of ${stores}`;
    stage.watch(name, child.cpu);
    await sleep(settleMs);
    const opened = async () => (await sql`select from temu_sync_windows`).length;
    const before = await opened();
    const { cpu, others } = await stage.measure(() => sleep(seconds * 1_000));
    const windows = (await opened()) - before;
    // at once, as after an outage
    const [left] = await sql<{ stores: number }[]>`
      with due as (update temu_stores set next_sync_at = now() where id not in (select store_id from temu_sync_windows) returning 1)
      select count(*)::int as stores from due`;
    const wanted = (left?.stores ?? 0) + before + windows;
    const at = performance.now();
    const burst = await stage.measure(async () => {
      for (;;) {
        const [row] = await sql<{ offered: number }[]>`
          select count(*) filter (where offered_at is not null)::int as offered from temu_sync_windows`;
        if ((row?.offered ?? 0) >= wanted) return;
        if (performance.now() - at > PATIENCE_MS)
          throw new Error(`${row?.offered} of ${wanted} windows have a job`);
        await sleep(50);
      }
    });
    const ms = (whose: string, of: Record<string, number> = cpu) => ((of[whose] ?? 0) * 1_000) / seconds;
    most = Math.max(most, others, burst.others);
    rows.push(
      once(`${stores.toLocaleString('en')} stores`, {
        stores,
        'windows a second': windows / seconds,
        'scheduler’s CPU, ms a second': ms(name),
        'Postgres’ CPU, ms a second': ms('postgres'),
        'Redis’ CPU, ms a second': ms('redis'),
        'scheduler’s memory, MB': child.memoryMb(),
        'all at once: stores': left?.stores ?? 0,
        // a tick is up to ten seconds away
        'all at once: CPU, s': (burst.cpu[name] ?? 0) + (burst.cpu.postgres ?? 0) + (burst.cpu.redis ?? 0),
      }),
    );
    await child.stop();
    await sql.end();
  }
  return measuredOnce(
    {
      what: 'P10: the scheduler by stores: windows that are due, sweeps, samples',
      size: `${seconds} s each, syncs spread over five minutes, every store with an app key of its own, no parcels`,
      rows,
      checked: 'every store that was due has one window, and its job was made',
    },
    most,
  );
}
