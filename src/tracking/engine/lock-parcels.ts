import { sql } from 'drizzle-orm';
import type { Tx } from '../../db/client.ts';
import { statement } from '../../db/query.ts';
import { orders, shipments } from '../../db/schema/index.ts';
import type { Tracker } from '../registry.ts';
import { numberFor } from '../selection.ts';
import type { Parcel } from './evaluate.ts';
import { STATUSES } from './status.ts';

const ph = sql.placeholder;

const LOCK = statement(
  {
    id: shipments.id,
    orderId: shipments.orderId,
    awb: shipments.awbNumber,
    lr: shipments.lrNumber,
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
    where ${shipments.id} = any(${ph('ids')}::uuid[]) order by ${shipments.id} for update of ${shipments}`,
);

/** The parcels of a batch, locked in the order of their ids until the transaction ends. */
export async function lockParcels(tx: Tx, { courier }: Tracker, ids: readonly string[]): Promise<Parcel[]> {
  const locked = await LOCK.run(tx, { ids });
  return locked.map((row) => ({
    ...row,
    number: numberFor(courier, row),
    status: STATUSES.find((status) => status === row.status) ?? 'pending', // written by another program
    bookedAt: row.bookedAt.getTime(),
    statusAt: timeOf(row.statusAt),
    pickedUpAt: timeOf(row.pickedUpAt),
    deliveredAt: timeOf(row.deliveredAt),
    rtoStartedAt: timeOf(row.rtoStartedAt),
  }));
}

const timeOf = (time: Date | null) => time?.getTime() ?? null;
