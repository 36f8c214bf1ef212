import { sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { Db } from '../db/client.ts';
import { json, name, rows } from '../db/query.ts';
import { orders } from '../db/schema/index.ts';
import { minutes } from '../queue/define.ts';
import type { Task } from '../queue/maintenance.ts';
import { hadEnded } from './ended.ts';

const DAY_MS = 86_400_000;
/** Orders per statement: some ten milliseconds, so that locks are short. */
const BATCH = 2_000;
/**
 * Some orders never get a final status. After this many days without a change an order counts as ended with its last
 * change: Temu's buyers may return a parcel within 90 days, so the address may be needed until then.
 */
const QUIET_DAYS = 90;

export interface ErasureDeps {
  db: Db;
  /** Epoch milliseconds. */
  clock: () => number;
  config: { PERSONAL_DATA_DAYS: number };
}

/** The scheduler's task for personal data (T18). */
export const erasureTasks = (deps: ErasureDeps): Task[] => [
  {
    id: 'erase-personal-data',
    everyMs: minutes(24 * 60),
    run: async (signal) => ({ erased: await erasePersonalData(deps, signal) }),
  },
];

/** The buyer's columns but for the country, which stays for statistics; as in the index orders_personal_data. */
export const PERSONAL: readonly PgColumn[] = [
  orders.buyerMail,
  orders.shippingBuyerName,
  orders.shippingPhone,
  orders.shippingStreet1,
  orders.shippingCity,
  orders.shippingStateProvince,
  orders.shippingPostalCode,
];
const placedAt = sql`coalesce(${orders.orderCreatedAt}, '-infinity')`;
const id = name(orders.id);

/**
 * T18: erases the buyers of orders that ended more than PERSONAL_DATA_DAYS ago, whatever their source: mail, name, phone,
 * address; the country stays for statistics. Walks the orders with personal data that are old enough, by a partial
 * index (P3).
 * @returns how many buyers were erased
 */
export async function erasePersonalData(
  { db, clock, config }: ErasureDeps,
  signal?: AbortSignal,
): Promise<number> {
  const endedBefore = new Date(clock() - config.PERSONAL_DATA_DAYS * DAY_MS);
  const quietSince = new Date(clock() - Math.max(QUIET_DAYS, config.PERSONAL_DATA_DAYS) * DAY_MS);
  let from: Cursor = { placedAt: '-infinity', id: '00000000-0000-0000-0000-000000000000' };
  let erased = 0;
  for (;;) {
    signal?.throwIfAborted();
    const batch = await eraseBatch(db, from, { endedBefore, quietSince, now: new Date(clock()) });
    erased += batch?.erased ?? 0;
    if (!batch?.last || batch.looked < BATCH) return erased;
    from = batch.last;
  }
}

/** Position of the walk. The time is a text, since a Date cannot be -infinity. */
interface Cursor {
  placedAt: string;
  id: string;
}

async function eraseBatch(
  db: Db,
  from: Cursor,
  { endedBefore, quietSince, now }: Record<'endedBefore' | 'quietSince' | 'now', Date>,
) {
  const time = (value: Date) => sql.param(value, orders.endedAt);
  const [batch] = await rows(
    db,
    {
      looked: sql<number>`(select count(*)::int from candidates)`,
      erased: sql<number>`(select count(*)::int from forgotten)`,
      last: json<Cursor | null>(sql`(
        select jsonb_build_object('placedAt', placed::text, 'id', ${id}) from candidates order by placed desc, ${id} desc limit 1)`),
    },
    (list) => sql`
      with candidates as materialized (
        select ${orders.id}, ${placedAt} as placed, ${hadEnded(endedBefore, quietSince)} as forgettable
        from ${orders}
        where num_nonnulls(${sql.join([...PERSONAL], sql`, `)}) > 0 and ${placedAt} <= ${time(endedBefore)}
          and (${placedAt}, ${orders.id}) > (${from.placedAt}::timestamptz, ${from.id}::uuid)
        order by ${placedAt}, ${orders.id}
        limit ${BATCH}
        for update skip locked),
      forgotten as (
        update ${orders} set ${sql.join(
          PERSONAL.map((column) => sql`${name(column)} = null`),
          sql`, `,
        )},
          ${name(orders.personalDataErasedAt)} = ${time(now)}
        from candidates where forgettable and ${orders.id} = candidates.${id} returning 1)
      select ${list}`,
  );
  return batch;
}
