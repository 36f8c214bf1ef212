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
  | { is: 'unmapped'; word: string; at: number; scan: Scan };

/** What a word means by a person's ruling (C6). */
export type Rulings = ReadonlyMap<string, Status | 'unchanged'>;

/** What an answer's item means for a parcel (C6–C9). Pure. */
export function judge(parcel: Parcel, item: Item | undefined, now: number, rulings: Rulings): Verdict {
  if (!item || item.is === 'notFound') return { is: 'notFound' };
  if (item.is === 'ended')
    return now - parcel.bookedAt > (item.onlyAfterMs ?? 0)
      ? { is: 'ended', why: item.why }
      : { is: 'notFound' };
  if (item.reference !== undefined && !namesOrder(item.reference ?? '', parcel.orderNumber))
    return { is: 'mismatched' };
  const means = item.means ?? rulings.get(item.word);
  const at = item.at?.getTime() ?? now;
  if (means === undefined) return { is: 'unmapped', word: item.word, at, scan: item };
  if (means === 'unchanged') return { is: 'unchanged' };
  return move(parcel, item, means, at);
}

function move(parcel: Parcel, scan: Scan, means: Status, at: number): Verdict {
  const before = { status: parcel.status, at: parcel.statusAt, seen: parcel.statusSeen };
  // without a time of its own a word that is repeated tells nothing new
  const repeated = scan.at === null && means === parcel.status && parcel.statusAt !== null;
  const { standing, change } = repeated
    ? { standing: before, change: null }
    : advance(before, { status: means, at });
  const stale = standing.status !== means;
  const milestone = (given: Date | null | undefined, ...statuses: Status[]) =>
    given?.getTime() ?? (change && statuses.includes(change.status) ? change.at : null);
  return {
    is: change ? 'updated' : 'unchanged',
    news: {
      status: standing.status,
      at: standing.at,
      seen: standing.seen,
      courierStatus: stale ? parcel.courierStatus : scan.courierStatus,
      pickedUpAt: milestone(scan.pickedUpAt, 'in_transit'),
      deliveredAt: milestone(scan.deliveredAt, 'delivered'),
      rtoStartedAt: milestone(scan.rtoStartedAt, 'rto_in_transit', 'rto'),
      changed: change !== null,
    },
  };
}
