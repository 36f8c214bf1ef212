import type { Sql } from 'postgres';
import type { Measured } from '../../docs/performance.ts';
import { parseConfig } from '../../src/config/index.ts';
import { type Fleet, openFleet } from '../../src/fleet/index.ts';
import { commonSettings } from '../support/builds.ts';
import type { Context } from '../support/case.ts';
import { fill } from '../support/filled.ts';
import { connect } from '../support/tables.ts';
import { measuredOnce, once } from './rows.ts';

/** A fleet that has been trading: its database, and the bench's connections to it. */
export interface Trade {
  stores: number;
  parcels: number;
  env: Record<string, string>;
  sql: Sql;
  fleet: Fleet;
  close(): Promise<void>;
}

const PARCELS_AN_ORDER = 3;

/**
 * @param open the part of its orders that is on its way
 * @param settings further ones of its processes
 */
export async function openTrade(
  { stage, ours, backend }: Context,
  { stores, parcels, open }: { stores: number; parcels: number; open: number },
  settings: Record<string, string> = {},
): Promise<Trade> {
  const env = {
    ...commonSettings(),
    ...stage.queues(backend),
    ...settings,
    DATABASE_URL: await stage.database('growth'),
  };
  await ours.command(env, 'migrate');
  const sql = connect(env.DATABASE_URL);
  const orders = Math.ceil(parcels / PARCELS_AN_ORDER);
  await fill(sql, orders, Math.ceil(orders * open), { stores, scattered: true });
  const fleet = openFleet(parseConfig(env), 'bench');
  return {
    ...{ stores, parcels: orders * PARCELS_AN_ORDER, env, sql, fleet },
    async close() {
      await fleet.close();
      await sql.end();
    },
  };
}

interface Size {
  table: string;
  heap: number;
  indexes: number;
  toast: number;
}

/** Bytes of each table, partitions added up. */
const sizesOf = (sql: Sql) => sql<Size[]>`
  select coalesce(parent.relname, c.relname) as table, sum(pg_relation_size(c.oid))::float8 as heap,
    sum(pg_indexes_size(c.oid))::float8 as indexes,
    sum(pg_table_size(c.oid) - pg_relation_size(c.oid))::float8 as toast
  from pg_class c left join pg_inherits on inhrelid = c.oid left join pg_class parent on parent.oid = inhparent
  where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace group by 1 order by 1`;

/** A table with fewer rows says nothing: a page is more than they are. */
const FEWEST_ROWS = 500;

/** Rows of every table and what each is on disk. @param after in the rows' names: how they came to be */
export async function bytesARow(sql: Sql, after: string) {
  const rows = [];
  for (const { table, heap, indexes, toast } of await sizesOf(sql)) {
    const [counted] = await sql<{ n: number }[]>`select count(*)::int as n from ${sql(table)}`;
    const n = counted?.n ?? 0;
    if (n < FEWEST_ROWS) continue;
    rows.push(
      once(`${table}, ${after}`, {
        rows: n,
        'bytes a row': (heap + indexes + toast) / n,
        heap: heap / n,
        indexes: indexes / n,
        'TOAST and maps': toast / n,
      }),
    );
  }
  return rows;
}

/** Bytes on disk of each table at each size. */
export async function disk(trades: readonly Trade[], others: number): Promise<Measured> {
  const rows = [];
  for (const { sql, parcels } of trades)
    rows.push(...(await bytesARow(sql, `${parcels.toLocaleString('en')} parcels`)));
  return measuredOnce(
    {
      what: 'P10: bytes on disk a row, filled in bulk',
      size: 'rows in the order of time, ids in none, after a vacuum; three parcels an order; payloads shorter than Temu’s',
      rows,
      checked: 'rows were counted, not estimated',
    },
    others,
  );
}
