import type { Item, Scan } from './courier.ts';
import { namesOrder } from './reference.ts';
import { advance, type Status } from './status.ts';

/** A parcel as it stands, with what is needed to judge a word about it. Times are epoch milliseconds. */
export interface Parcel {
  id: string;
  orderId: string;
  /** What its tracker asks by: AWB or LR number. */
  number: string;
  orderNumber: string;
  source: string;
  bookedAt: number;
  status: Status;
  statusAt: number | null;
  statusSeen: Partial<Record<Status, number>>;
  courierStatus: string | null;
  unmappedWord: string | null;
}

/** What becomes of a parcel, besides that it was asked for just now. */
export interface News {
  status: Status;
  at: number | null;
  seen: Parcel['statusSeen'];
  courierStatus: string | null;
  pickedUpAt: number | null;
  deliveredAt: number | null;
  rtoStartedAt: number | null;
  /** The status is another one than before. */
  changed: boolean;
}

export type Verdict =
  | { is: 'updated' | 'unchanged'; news?: News }
  | { is: 'notFound' | 'mismatched' }
  /** C9: not found, and it never will be. */
  | { is: 'ended'; why: string }
  /** `at` is null where the scan has no time. */
  | { is: 'unmapped'; word: string; at: number | null; scan: Scan };

/** What a word means by a person's ruling (C6). */
export type Rulings = ReadonlyMap<string, Status | 'unchanged'>;

/**
 * What an answer's item means for a parcel (C6–C9). Pure.
 *
 * C7, of a scan without a time, or with one that cannot be read: nobody knows how old it is, so it never counts as newer
 * than what is known. It is laid beside the parcel's present status (beside the booking where none is known), where rank
 * decides: such words lead forward, and never by the ways back, out of an end, or past a scan that has a time. What it
 * leads to is dated by when it was heard of, the only time there is: status_at, milestones, history.
 */
export function judge(parcel: Parcel, item: Item | undefined, now: number, rulings: Rulings): Verdict {
  if (!item || item.is === 'notFound') return { is: 'notFound' };
  if (item.is === 'ended')
    return now - parcel.bookedAt > (item.onlyAfterMs ?? 0)
      ? { is: 'ended', why: item.why }
      : { is: 'notFound' };
  if (item.reference?.trim() && !namesOrder(item.reference, parcel.orderNumber)) return { is: 'mismatched' };
  const means = item.means ?? rulings.get(item.word);
  if (means === undefined)
    return { is: 'unmapped', word: item.word, at: item.at?.getTime() ?? null, scan: item };
  if (means === 'unchanged') return { is: 'unchanged' };
  return move(parcel, item, means, now);
}

function move(parcel: Parcel, scan: Scan, means: Status, now: number): Verdict {
  const { status, statusAt, statusSeen, bookedAt } = parcel;
  const known = statusSeen[status] ?? statusAt ?? bookedAt;
  const seen = scan.at ? statusSeen : { ...statusSeen, [status]: known };
  const at = scan.at?.getTime() ?? known;
  const { standing, change } = advance({ status, at: statusAt, seen }, { status: means, at });
  // when it is said to hold since
  const since = scan.at ? standing.at : change ? now : statusAt;
  const stale = standing.status !== means;
  const milestone = (given: Date | null | undefined, ...statuses: Status[]) =>
    given?.getTime() ?? (change && statuses.includes(change.status) ? since : null);
  return {
    is: change ? 'updated' : 'unchanged',
    news: {
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
