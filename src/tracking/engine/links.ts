import { eq, sql } from 'drizzle-orm';
import { alias } from 'drizzle-orm/pg-core';
import type { Tx } from '../../db/client.ts';
import { insertion, names, statement } from '../../db/query.ts';
import { recordset } from '../../db/recordset.ts';
import { shipments } from '../../db/schema/index.ts';
import { isParcelNumber } from '../../lib/numbers.ts';
import type { Tracker } from '../registry.ts';
import type { Item, Link } from '../toolkit/courier.ts';
import type { Parcel } from './evaluate.ts';
import { lockParcels } from './lock-parcels.ts';
import type { Status } from './status.ts';
import type { Change } from './status-effects.ts';

const ph = sql.placeholder;

const {
  from,
  textOf,
  fields: linked,
} = recordset('linked', {
  original: shipments.id,
  number: shipments.awbNumber,
  link: shipments.link,
});

/** Booked now, with the same courier and for the same order; its contents stay with the first parcel. */
const MAKE = statement({}, () => {
  const original = alias(shipments, 'original');
  const made = insertion(shipments, {
    orderId: sql`${original.orderId}`,
    awbNumber: linked.number,
    bookingCourier: sql`${original.bookingCourier}`,
    carrier: sql`${original.carrier}`,
    bookedAt: ph('now'),
    linkedTo: sql`${original.id}`,
    link: linked.link,
  });
  return sql`${made} from ${from(ph('links'))} join ${shipments} ${original} on ${original.id} = ${linked.original}
    on conflict (${names([shipments.orderId, shipments.awbNumber])}) do nothing`;
});

/** Those that are parcels of the order already: somebody booked them. Never round in a circle. */
const FIND = statement({ id: shipments.id, original: linked.original, link: linked.link }, (read) => {
  const original = alias(shipments, 'original');
  const child = alias(shipments, 'child');
  return sql`
    select ${read} from ${from(ph('links'))} join ${shipments} ${original} on ${original.id} = ${linked.original}
      join ${shipments} on ${shipments.orderId} = ${original.orderId} and ${shipments.awbNumber} = ${linked.number}
    where ${shipments.linkedTo} is null and ${shipments.id} <> ${original.id}
      and not exists (select from ${shipments} ${child} where ${child.linkedTo} = ${shipments.id})
    for update of ${shipments} skip locked`;
});

/** E4: what responses name as the number under which a parcel goes on or back becomes a parcel that is linked to it. */
export async function recordLinks(
  tx: Tx,
  parcels: readonly Parcel[],
  items: ReadonlyMap<string, Item>,
  now: number,
): Promise<void> {
  const links = parcels.flatMap(({ id, number }) => {
    const item = items.get(number);
    const named = item?.is === 'scan' ? (item.links ?? []) : [];
    return named
      .filter((link) => isParcelNumber(link.number) && link.number !== number)
      .map((link) => ({ original: id, number: link.number, link: link.is }));
  });
  if (links.length === 0) return;
  await MAKE.run(tx, { links: textOf(links), now: new Date(now) });
  for (const { id, original, link } of await FIND.run(tx, { links: textOf(links) }))
    await tx.update(shipments).set({ linkedTo: original, link }).where(eq(shipments.id, id));
}

/** What a status of the linked parcel says of the first one. */
const OF_ORIGINAL: Record<Link['is'], (status: Status) => Status | undefined> = {
  redirection: (status) => (status === 'pending' || status === 'booking_cancelled' ? undefined : status),
  return: (status) => {
    if (status === 'delivered' || status === 'rto') return 'rto';
    if (status === 'lost' || status === 'destroyed') return status;
    return status === 'booking_cancelled' || status === 'pending' ? undefined : 'rto_in_transit';
  },
};

/**
 * E4: a return that is delivered is back at the seller: its first parcel is `rto`; what was redirected is where its second
 * number is.
 * @returns the first parcels of linked ones that changed, locked, each with what is to be applied to it
 */
export async function originalsOf(
  tx: Tx,
  tracker: Tracker,
  changes: readonly Change[],
): Promise<{ original: Parcel; item: Item }[]> {
  const carried = changes.flatMap(({ parcel: { linkedTo, link }, update }) => {
    const means = link && OF_ORIGINAL[link](update.status);
    return linkedTo && means ? [{ linkedTo, means, update }] : [];
  });
  if (carried.length === 0) return [];
  const originals = await lockParcels(
    tx,
    tracker,
    carried.map(({ linkedTo }) => linkedTo),
  );
  return carried.flatMap(({ linkedTo, means, update }) => {
    const original = originals.find(({ id }) => id === linkedTo);
    if (!original) return [];
    const courierStatus = update.courierStatus ?? update.status;
    const at = update.at === null ? null : new Date(update.at);
    return [{ original, item: { is: 'scan', rawStatus: courierStatus, courierStatus, means, at } as const }];
  });
}
