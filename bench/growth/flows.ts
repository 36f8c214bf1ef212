import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from 'postgres';
import type { Measured, Row } from '../../docs/performance.ts';
import type { Context } from '../support/case.ts';
import { openStore, startTemu } from '../support/orders.ts';
import { startCourier, startTrackingFleet } from '../support/parcels.ts';
import { connect, tidy } from '../support/tables.ts';
import type { Figures } from '../support/turns.ts';
import { bytesARow } from './disk.ts';
import { measuredOnce, once } from './rows.ts';

/** Idle sessions tell their counters after ten seconds. */
const COUNTERS_MS = 11_000;
const PATIENCE_MS = 180_000;
const OUR_WORKERS = 'written by our workers';

export interface FlowSizes {
  orders: number;
  parcels: number;
}

/** What a unit of each kind of work costs the stores, and the rows that our own workers leave. */
export async function flows(context: Context, { orders, parcels }: FlowSizes): Promise<Measured[]> {
  const [ofTemu, ofParcels] = [await temuFlows(context, orders), await pollFlows(context, parcels)];
  const others = Math.max(ofTemu.others, ofParcels.others);
  return [
    measuredOnce(
      {
        what: 'P10: what a unit of work costs, all of it by our built workers',
        size: `${orders.toLocaleString('en')} orders of one store and their AWB numbers without a quota; two rounds of ${parcels.toLocaleString('en')} parcels without a limit; a checkpoint before each, so that the WAL has the first change of each page whole`,
        rows: [...ofTemu.costs, ...ofParcels.costs],
        checked: 'every order is stored, every number sent once, every parcel answered and written once',
      },
      others,
    ),
    measuredOnce(
      {
        what: 'P10: bytes on disk a row, as our workers wrote them',
        size: 'orders, their AWB numbers and parcels of the same run, with Temu’s payloads; after a vacuum',
        rows: [...ofTemu.rows, ...ofParcels.rows],
        checked: 'rows were counted, not estimated',
      },
      others,
    ),
    measuredOnce(
      {
        what: 'P10: what a round of polls leaves to vacuum',
        size: `${parcels.toLocaleString('en')} parcels, each polled once a round; autovacuum as Postgres has it by default`,
        rows: ofParcels.vacuum,
        checked: 'the courier answered for every parcel once',
      },
      others,
    ),
  ];
}

interface Counters {
  wal: string;
  fpi: number;
  commits: number;
}
const countersOf = async (sql: Sql): Promise<Counters> => {
  const [row] = await sql<Counters[]>`
    select pg_current_wal_insert_lsn()::text as wal, (select wal_fpi::float8 from pg_stat_wal) as fpi,
      (select xact_commit::float8 from pg_stat_database where datname = current_database()) as commits`;
  if (!row) throw new Error('no counters');
  return row;
};

/** @returns what each of `units` cost, and how busy others were */
async function metered(
  { stage, quick }: Context,
  sql: Sql,
  whose: string,
  units: number,
  work: () => Promise<unknown>,
): Promise<{ figures: Figures; others: number }> {
  const before = await countersOf(sql);
  const at = performance.now();
  const { cpu, others } = await stage.measure(work);
  const seconds = (performance.now() - at) / 1_000;
  const [wal] = await sql<{ bytes: number }[]>`
    select (pg_current_wal_insert_lsn() - ${before.wal}::pg_lsn)::float8 as bytes`;
  await sleep(quick ? 0 : COUNTERS_MS);
  const after = await countersOf(sql);
  return {
    figures: {
      units,
      'a second': units / seconds,
      'worker’s CPU, µs': ((cpu[whose] ?? 0) * 1e6) / units,
      'Postgres’ CPU, µs': ((cpu.postgres ?? 0) * 1e6) / units,
      'Redis’ CPU, µs': ((cpu.redis ?? 0) * 1e6) / units,
      'WAL, bytes': (wal?.bytes ?? 0) / units,
      'full pages in it': (after.fpi - before.fpi) / units,
      commits: (after.commits - before.commits) / units,
    },
    others,
  };
}

/** Waits until as many rows match. */
async function until(wanted: number, count: () => Promise<number>, what: string): Promise<void> {
  const at = performance.now();
  for (;;) {
    const found = await count();
    if (found === wanted) return;
    if (found > wanted || performance.now() - at > PATIENCE_MS)
      throw new Error(`${found} of ${wanted} ${what}`);
    await sleep(250);
  }
}

async function temuFlows(context: Context, orders: number) {
  const { stage, ours, backend } = context;
  const temu = await startTemu(stage, orders);
  const env = await openStore(stage, backend, temu, ours, 'flows', 5_000);
  const sql = connect(env.DATABASE_URL ?? '');
  const counted = async (query: ReturnType<typeof sql<{ n: number }[]>>) => (await query)[0]?.n ?? 0;
  await tidy(sql);
  const reading = await ours.start('temu', env);
  stage.watch('flows temu', reading.cpu);
  const order = await metered(context, sql, 'flows temu', orders, async () => {
    await ours.command(env, 'sync');
    const stored = () => counted(sql`select count(*)::int as n from temu_order_inbox where state = 'stored'`);
    await until(orders, stored, 'orders are stored');
  });
  const memory = reading.memoryMb();
  await reading.stop();
  const stored = await sql<{ id: string }[]>`select id from orders`;
  await tidy(sql);
  const pushing = await ours.start('awb', env);
  stage.watch('flows awb', pushing.cpu);
  const client = await ours.client(env);
  const awb = await metered(context, sql, 'flows awb', orders, async () => {
    for (const [no, { id }] of stored.entries()) {
      await client.awbCreated({ orderId: id, awbNumber: `GROWTH${1_000_000 + no}`, carrier: 'sameday' });
    }
    const sent = () => counted(sql`select count(*)::int as n from temu_pushes where state = 'sent'`);
    await until(orders, sent, 'numbers are sent');
  });
  const { calls } = await temu.counts();
  const told = calls['bg.logistics.shipment.v2.confirm'];
  if (told?.calls !== orders || told.different !== orders)
    throw new Error(`Temu was told ${JSON.stringify(told)} for ${orders} numbers`);
  await client.close();
  const awbMemory = pushing.memoryMb();
  await pushing.stop();
  await tidy(sql);
  const rows = await bytesARow(sql, OUR_WORKERS);
  await sql.end();
  await temu.stop();
  return {
    costs: [
      once('an order, read and written', { ...order.figures, 'worker’s memory, MB': memory }),
      once('an AWB number, sent to Temu', { ...awb.figures, 'worker’s memory, MB': awbMemory }),
    ],
    rows,
    others: Math.max(order.others, awb.others),
  };
}

const WRITTEN = ['shipments', 'tracked_parcels', 'tracking_batches', 'shipment_events_%'];

const deadRows = (sql: Sql) => sql<
  { table: string; dead: number; updated: number; hot: number; vacuums: number; bytes: number }[]
>`
  select relname as table, n_dead_tup::float8 as dead, n_tup_upd::float8 as updated, n_tup_hot_upd::float8 as hot,
    autovacuum_count::float8 as vacuums, pg_total_relation_size(relid)::float8 as bytes
  from pg_stat_user_tables where schemaname = 'public' and relname like any(${WRITTEN}) and n_tup_ins + n_tup_upd > 0 order by 1`;

async function pollFlows(context: Context, parcels: number) {
  const { stage, ours, backend } = context;
  const courier = await startCourier(stage);
  const fleet = await startTrackingFleet({ stage, backend, courier, parcels }, ours, 'off');
  const { sql, worker } = fleet;
  const costs: Row[] = [];
  const vacuum: Row[] = [];
  let others = 0;
  await fleet.setBack();
  for (const kind of ['changed', 'unchanged'] as const) {
    await tidy(sql);
    const before = new Map((await deadRows(sql)).map((one) => [one.table, one]));
    // the round's run begins when its tracker is due
    const round = await metered(context, sql, `${ours.name} worker`, parcels, () => fleet.round());
    await fleet.check(kind);
    others = Math.max(others, round.others);
    costs.push(
      once(`a parcel, polled, ${kind}`, { ...round.figures, 'worker’s memory, MB': worker.memoryMb() }),
    );
    for (const { table, dead, updated, hot, vacuums, bytes } of await deadRows(sql)) {
      const was = before.get(table);
      const changed = updated - (was?.updated ?? 0);
      vacuum.push(
        once(`${table}, a round, ${kind}`, {
          'rows updated a parcel': changed / parcels,
          'of them without an index (HOT)': changed > 0 ? (hot - (was?.hot ?? 0)) / changed : 0,
          'dead rows a parcel': dead / parcels,
          'autovacuums meanwhile': vacuums - (was?.vacuums ?? 0),
          'grown, bytes a parcel': (bytes - (was?.bytes ?? 0)) / parcels,
        }),
      );
    }
  }
  await tidy(sql);
  const wanted = /^(shipments|tracked_parcels|tracking_batches|shipment_events),/;
  const rows = (await bytesARow(sql, `${OUR_WORKERS}, ${parcels.toLocaleString('en')} parcels`)).filter(
    ({ name }) => wanted.test(name),
  );
  await fleet.stop();
  await courier.stop();
  return { costs, vacuum, rows, others };
}
