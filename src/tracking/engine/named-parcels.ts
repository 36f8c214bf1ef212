import { sql } from 'drizzle-orm';
import type { Tx } from '../../db/client.ts';
import { type RowOf, statement } from '../../db/query.ts';
import { orders, shipments } from '../../db/schema/index.ts';
import { cleanNumber } from '../../lib/numbers.ts';
import { courierOf } from '../selection.ts';
import type { NumberedScan, Scan } from '../toolkit/courier.ts';
import { isNewer } from './status.ts';

/** Parcels by the numbers in a webhook or a feed, which name any of them, in any order and any case. */

/** C4: numbers match in any case. */
export const keyOf = (number: string | null) => cleanNumber(number ?? '').toUpperCase();

export function newestByNumber(scans: readonly NumberedScan[]): Map<string, Scan> {
  const newest = new Map<string, Scan>();
  for (const [number, scan] of scans) {
    const other = newest.get(keyOf(number));
    if (!other || isNewer(scan, other)) newest.set(keyOf(number), scan);
  }
  return newest;
}

const NAMED = {
  id: shipments.id,
  awb: shipments.awbNumber,
  lr: shipments.lrNumber,
  tracker: courierOf,
  trackedBy: shipments.trackedBy,
  status: shipments.status,
};
export type Named = RowOf<typeof NAMED>;

const spelt = sql`any(${sql.placeholder('spellings')}::text[])`;
const LOCK_NAMED = statement(
  NAMED,
  (read) => sql`
    select ${read} from ${shipments} join ${orders} on ${orders.id} = ${shipments.orderId}
    where ${shipments.awbNumber} = ${spelt} or ${shipments.lrNumber} = ${spelt}
    order by ${shipments.id} for update of ${shipments}`,
);

/** All couriers' parcels with these numbers, locked in the order of their ids, as batches lock theirs. */
export async function lockNamed(tx: Tx, numbers: readonly string[]): Promise<Named[]> {
  // the index is case-sensitive
  const spellings = numbers.flatMap((number) => [number, number.toUpperCase(), number.toLowerCase()]);
  return await LOCK_NAMED.run(tx, { spellings });
}
