import { sql } from 'drizzle-orm';
import type { Db } from '../../db/client.ts';
import { isAnyOf, json, name, rows } from '../../db/query.ts';
import { notices, orders, shipments } from '../../db/schema/index.ts';
import { kindsFor } from '../../notices/index.ts';

/** Notices that a statement looks at. */
const BATCH = 10_000;

/**
 * Deletes notices about orders and parcels that are gone: their key has made them be sent once, and nothing can cause
 * them again. Not what waits to be sent, or for somebody to have it sent again.
 * @returns how many
 */
export async function forgetNotices(db: Db, before: Date): Promise<number> {
  let from: Cursor = { createdAt: '-infinity', id: '00000000-0000-0000-0000-000000000000' };
  let forgotten = 0;
  for (;;) {
    const [batch] = await forgetBatch(db, from, before);
    forgotten += batch?.forgotten ?? 0;
    if (!batch?.last) return forgotten;
    from = batch.last;
  }
}

/** Position of the walk. The time is a text, since a Date cannot be -infinity. */
interface Cursor {
  createdAt: string;
  id: string;
}

function forgetBatch(db: Db, from: Cursor, before: Date) {
  const { id, kind, payload, subject, state, createdAt } = notices;
  const order = sql`coalesce(${payload}->>'orderId', ${payload}#>>'{event,orderId}')::uuid`;
  const isOfParcel = isAnyOf(kind, kindsFor('channel'));
  return rows(
    db,
    {
      forgotten: sql<number>`(select count(*)::int from forgotten)`,
      last: json<Cursor | null>(sql`(
        select jsonb_build_object('createdAt', ${name(createdAt)}::text, 'id', ${name(id)}) from looked
        order by ${name(createdAt)} desc, ${name(id)} desc limit 1)`),
    },
    (list) => sql`
      with looked as materialized (
        select ${id}, ${createdAt} from ${notices}
        where (${createdAt}, ${id}) > (${from.createdAt}::timestamptz, ${from.id}::uuid)
          and ${createdAt} < ${before.toISOString()}::timestamptz
        order by ${createdAt}, ${id} limit ${BATCH}),
      forgotten as (
        delete from ${notices} using looked
        where ${id} = looked.${name(id)} and ${state} in ('sent', 'withdrawn')
          and case when ${isOfParcel} then not exists (select from ${shipments} where ${shipments.id} = ${subject}::uuid)
            else ${order} is not null and not exists (select from ${orders} where ${orders.id} = ${order}) end
        returning 1)
      select ${list}`,
  );
}
