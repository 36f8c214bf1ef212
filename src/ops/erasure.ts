import { sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { Db } from '../db/client.ts';
import { isAnyOf, json, name, rows } from '../db/query.ts';
import { orders, shipments } from '../db/schema/index.ts';
import { isOpen } from '../orders/status.ts';
import { minutes } from '../queue/define.ts';
import type { Task } from '../queue/maintenance.ts';
import { isFinal, STATUSES } from '../tracking/index.ts';

const DAY_MS = 86_400_000;
/** Orders per statement: some ten milliseconds, so that locks are short. */
const BATCH = 2_000;
/**
 * Some orders never get a final status. After this many days without a change an order counts as ended with its last
 * change: Temu's buyers may return a parcel within 90 days, so the address may be needed until then.
 */
const QUIET_DAYS = 90;
/** Final order_statuses: delivered, booking_cancelled, rto, lost, destroyed. */
const FINAL_CODES = [10, 12, 13, 15, 17];
const FINAL_STATUSES = STATUSES.filter(isFinal);

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
const PERSONAL: PgColumn[] = [
  orders.buyerMail,
  orders.shippingBuyerName,
  orders.shippingPhone,
  orders.shippingStreet1,
  orders.shippingCity,
  orders.shippingStateProvince,
  orders.shippingPostalCode,
];
const placedAt = sql`coalesce(${orders.orderCreatedAt}, '-infinity')`;
const changedAt = sql`coalesce(${orders.orderModifiedAt}, ${orders.updatedAt})`;
const id = name(orders.id);

/**
 * T18: erases the buyers of orders that ended more than PERSONAL_DATA_DAYS ago, whatever their source: mail, name, phone,
 * address; the country stays for statistics. An order has ended when the marketplace reports it cancelled or received,
 * when all its parcels or its order status are final, or after 90 days without a change. Walks the orders with personal
 * data that are old enough, by a partial index (P3).
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
  const hasEnded = isAnyOf(shipments.status, FINAL_STATUSES);
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
        select ${orders.id}, ${placedAt} as placed, ${changedAt} as changed,
          case when ${orders.status} = 'Cancelled' or ${orders.marketplaceStatus} = 'RECEIPTED'
            then coalesce(${orders.endedAt}, ${changedAt}) end as ended,
          ${isAnyOf(orders.orderStatus, FINAL_CODES)} as arrived,
          ${orders.source} = 'temu' and ${isOpen} as unshipped
        from ${orders}
        where num_nonnulls(${sql.join(PERSONAL, sql`, `)}) > 0 and ${placedAt} <= ${time(endedBefore)}
          and (${placedAt}, ${orders.id}) > (${from.placedAt}::timestamptz, ${from.id}::uuid)
        order by ${placedAt}, ${orders.id}
        limit ${BATCH}
        for update skip locked),
      forgettable as (
        select c.${id} from candidates c cross join lateral (
          select bool_and(${hasEnded}) as arrived,
            max(coalesce(${shipments.statusAt}, ${shipments.deliveredAt})) filter (where ${hasEnded}) as ended,
            max(greatest(${shipments.bookedAt}, ${shipments.statusAt})) as changed
          from ${shipments} where ${shipments.orderId} = c.${id}) p
        where least(c.ended, case when not c.unshipped and (p.arrived or c.arrived) then coalesce(p.ended, c.changed) end)
            <= ${time(endedBefore)}
          or greatest(c.changed, p.changed) <= ${time(quietSince)}),
      forgotten as (
        update ${orders} set ${sql.join(
          PERSONAL.map((column) => sql`${name(column)} = null`),
          sql`, `,
        )},
          ${name(orders.personalDataErasedAt)} = ${time(now)}
        from forgettable where ${orders.id} = forgettable.${id} returning 1)
      select ${list}`,
  );
  return batch;
}
