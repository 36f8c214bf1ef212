import { sql } from 'drizzle-orm';
import type { Tx } from '../../db/client.ts';
import { isAnyOf, statement } from '../../db/query.ts';
import { orders, shipments } from '../../db/schema/index.ts';
import type { Tracker } from '../registry.ts';
import { numberOf } from '../selection.ts';
import type { Courier } from '../toolkit/courier.ts';
import type { Parcel } from './evaluate.ts';
import { STATUSES } from './status.ts';

/** A courier's statement is built once. */
const built = new WeakMap<Courier, ReturnType<typeof locking>>();
function lockOf(courier: Courier) {
  const lock = built.get(courier) ?? locking(courier);
  built.set(courier, lock);
  return lock;
}

const locking = (courier: Courier) =>
  statement(
    {
      id: shipments.id,
      orderId: shipments.orderId,
      number: numberOf(courier),
      orderNumber: orders.marketplaceOrderId,
      source: orders.source,
      bookedAt: shipments.bookedAt,
      status: shipments.status,
      statusAt: shipments.statusAt,
      statusSeen: shipments.statusSeen,
      courierStatus: shipments.courierStatus,
      unmappedWord: shipments.unmappedWord,
      pickedUpAt: shipments.pickedUpAt,
      deliveredAt: shipments.deliveredAt,
      rtoStartedAt: shipments.rtoStartedAt,
      linkedTo: shipments.linkedTo,
      link: shipments.link,
    },
    (read) => sql`
      select ${read} from ${shipments} join ${orders} on ${orders.id} = ${shipments.orderId}
      where ${isAnyOf(shipments.id, sql.placeholder('ids'))} order by ${shipments.id} for update of ${shipments}`,
  );

/** The parcels of a batch, locked in the order of their ids until the transaction ends. */
export async function lockParcels(tx: Tx, { courier }: Tracker, ids: readonly string[]): Promise<Parcel[]> {
  const locked = await lockOf(courier).run(tx, { ids });
  return locked.map((row) => ({
    ...row,
    status: STATUSES.find((status) => status === row.status) ?? 'pending', // written by another program
    bookedAt: row.bookedAt.getTime(),
    statusAt: timeOf(row.statusAt),
    pickedUpAt: timeOf(row.pickedUpAt),
    deliveredAt: timeOf(row.deliveredAt),
    rtoStartedAt: timeOf(row.rtoStartedAt),
  }));
}

const timeOf = (time: Date | null) => time?.getTime() ?? null;
