import type { Item, Link, Scan } from '../toolkit/courier.ts';
import { matchesOrderNumber } from './reference.ts';
import { advance, mayFollow, type Status } from './status.ts';

/** A parcel's present state, with what a scan is compared to. Times are epoch milliseconds. */
export interface Parcel {
  id: string;
  orderId: string;
  /** The number by which its tracker requests it: AWB or LR number. */
  number: string;
  orderNumber: string;
  source: string;
  bookedAt: number;
  status: Status;
  statusAt: number | null;
  statusSeen: Partial<Record<Status, number>>;
  courierStatus: string | null;
  unmappedWord: string | null;
  pickedUpAt: number | null;
  deliveredAt: number | null;
  rtoStartedAt: number | null;
  /** E4: the parcel that this number belongs to. */
  linkedTo: string | null;
  link: Link['is'] | null;
}

/** What is written of a parcel besides `last_tracked_at`. */
export interface StatusUpdate {
  status: Status;
  at: number | null;
  seen: Parcel['statusSeen'];
  courierStatus: string | null;
  pickedUpAt: number | null;
  deliveredAt: number | null;
  rtoStartedAt: number | null;
  /** The status differs from the one before. */
  changed: boolean;
}

export type Evaluation =
  | { is: 'updated' | 'unchanged'; update?: StatusUpdate }
  | { is: 'notFound' | 'mismatched' }
  /** C9: not found, for good. */
  | { is: 'ended'; why: string }
  /** `at` is null where the scan has no time. */
  | { is: 'unmapped'; rawStatus: string; at: number | null; scan: Scan; update?: StatusUpdate };

/** Mappings of raw statuses made by operators (C6). */
export type StatusMappings = ReadonlyMap<string, Status | 'unchanged'>;

/**
 * What an item of a response means for a parcel (C6–C9). Pure.
 *
 * C7: a scan without a readable time never counts as newer than what is known. It is dated like the parcel's present
 * status (or the booking), so that rank decides: it can move the parcel forward, but not back, out of a final status, or
 * past a scan that has a time. A change that it causes (status_at, milestones, history) is dated by when it was received.
 */
export function evaluateScan(
  parcel: Parcel,
  item: Item | undefined,
  now: number,
  mappings: StatusMappings,
): Evaluation {
  if (!item || item.is === 'notFound') return { is: 'notFound' };
  if (item.is === 'ended')
    return now - parcel.bookedAt > (item.onlyAfterMs ?? 0)
      ? { is: 'ended', why: item.why }
      : { is: 'notFound' };
  if (item.reference?.trim() && !matchesOrderNumber(item.reference, parcel.orderNumber))
    return { is: 'mismatched' };
  const means = item.means ?? mappings.get(item.rawStatus);
  const before = item.before && evaluateScan(parcel, item.before, now, mappings);
  if (means === undefined)
    return {
      ...{ is: 'unmapped', rawStatus: item.rawStatus, at: item.at?.getTime() ?? null, scan: item },
      ...(before && 'update' in before && before.update ? { update: before.update } : {}),
    };
  if (means === 'unchanged') return before ?? { is: 'unchanged' };
  const known = item.before?.means;
  const leadsBack = known && known !== 'unchanged' && known !== means && !mayFollow(known, means);
  return before && leadsBack ? before : transition(parcel, item, means, now);
}

function transition(parcel: Parcel, scan: Scan, means: Status, now: number): Evaluation {
  const { status, statusAt, statusSeen, bookedAt } = parcel;
  const known = statusSeen[status] ?? statusAt ?? bookedAt;
  const seen = scan.at ? statusSeen : { ...statusSeen, [status]: known };
  const at = scan.at?.getTime() ?? known;
  const { standing, change } = advance({ status, at: statusAt, seen }, { status: means, at });
  const since = scan.at ? standing.at : change ? now : statusAt;
  const stale = standing.status !== means;
  const milestone = (given: Date | null | undefined, ...statuses: Status[]) =>
    given?.getTime() ?? (change && statuses.includes(change.status) ? since : null);
  return {
    is: change ? 'updated' : 'unchanged',
    update: {
      status: standing.status,
      at: since,
      seen: standing.seen,
      courierStatus: stale ? parcel.courierStatus : scan.courierStatus,
      pickedUpAt: milestone(scan.pickedUpAt, 'in_transit'),
      deliveredAt: milestone(scan.deliveredAt, 'delivered'),
      rtoStartedAt: milestone(scan.rtoStartedAt, 'rto_in_transit', 'rto'),
      changed: change !== null,
    },
  };
}
