/** C5: Orderfleet's own statuses. */
export const STATUSES = [
  'pending',
  'in_transit',
  'out_for_delivery',
  'ready_for_pickup',
  'ndr',
  'delivered',
  'rto_in_transit',
  'rto',
  'booking_cancelled',
  'lost',
  'destroyed',
] as const;
export type Status = (typeof STATUSES)[number];

/** C5: final, but for the exceptions of C7. `rto`: back at the origin; on the way back is `rto_in_transit`. */
const FINAL: ReadonlySet<Status> = new Set(['delivered', 'rto', 'booking_cancelled', 'lost', 'destroyed']);
export const isFinal = (status: Status): boolean => FINAL.has(status);

/** How far along a status is; among final ones it only breaks ties between equal times. */
const RANK: Record<Status, number> = {
  pending: 10,
  in_transit: 45,
  out_for_delivery: 55,
  ready_for_pickup: 60, // E3: waits for the buyer; never delivered, and may still fail or go back
  ndr: 65,
  rto_in_transit: 75,
  lost: 100,
  booking_cancelled: 101,
  destroyed: 102,
  rto: 103,
  delivered: 104,
};

interface Dated {
  at: Date | null;
  means: Status | 'unchanged' | undefined;
}

/**
 * C7: which of two scans of a parcel counts: the one with the newer time; at equal times the one that is further along.
 * `unchanged` ranks below all statuses, unmapped below that; a scan without a time is older than any that has one.
 */
export function isNewer(one: Dated, other: Dated): boolean {
  const [a, b] = [one, other].map(({ at }) => at?.getTime() ?? Number.NEGATIVE_INFINITY) as [number, number];
  return a === b ? rankOf(one.means) > rankOf(other.means) : a > b;
}

const rankOf = (means: Dated['means']): number =>
  means === undefined ? 0 : means === 'unchanged' ? 1 : RANK[means];

/** C7: legal steps back. */
const BACK: Partial<Record<Status, readonly Status[]>> = {
  out_for_delivery: ['in_transit'],
  // FedEx takes parcels back from its counters to another depot
  ready_for_pickup: ['out_for_delivery', 'in_transit'],
  ndr: ['out_for_delivery', 'ready_for_pickup'],
};

/** True when a newer scan may move a parcel from one status to the other (C7). */
export function mayFollow(from: Status, to: Status): boolean {
  if (from === 'lost') return true; // found again
  // the courier took it back after all; scans of the return may arrive out of order
  if (from === 'delivered') return to === 'rto_in_transit' || to === 'rto';
  if (isFinal(from)) return false;
  return RANK[to] > RANK[from] || (BACK[from]?.includes(to) ?? false);
}

/** A parcel's status with the scans that it follows from. */
export interface Standing {
  status: Status;
  /** Since when, by the courier's clock, epoch milliseconds; null before the first scan. */
  at: number | null;
  /** The newest time of each status, also of those that could not be applied. */
  seen: Partial<Record<Status, number>>;
}

export interface DatedStatus {
  status: Status;
  at: number;
}

export interface Advance {
  standing: Standing;
  /** The new status, if it has changed. */
  change: DatedStatus | null;
}

/**
 * C7: forward only. The newest time of each status is kept, and the status follows from these and not from the order of
 * arrival: they are sorted by event time, then rank, and replayed along the legal transitions. A final status is never
 * replayed from the start: only a newer scan that may follow it counts.
 */
export function advance(standing: Standing, scan: DatedStatus): Advance {
  const known = standing.seen[scan.status];
  if (known !== undefined && known >= scan.at) return { standing, change: null };
  const seen = { ...standing.seen, [scan.status]: scan.at };
  // a status without a time was imported: it stays until a scan may follow it
  const fixed = isFinal(standing.status) || standing.at === null;
  const start: DatedStatus = fixed
    ? { status: standing.status, at: standing.at ?? Number.NEGATIVE_INFINITY }
    : { status: 'pending', at: Number.NEGATIVE_INFINITY };
  const scans = (Object.entries(seen) as [Status, number][])
    .map(([status, at]) => ({ status, at }))
    .sort((a, b) => a.at - b.at || RANK[a.status] - RANK[b.status]);
  let now = start;
  for (const next of scans) {
    if (next.at <= start.at) continue;
    if (next.status === now.status || mayFollow(now.status, next.status)) now = next;
  }
  const at = now.at === Number.NEGATIVE_INFINITY ? null : now.at;
  return {
    standing: { status: now.status, at, seen },
    change: now.status === standing.status ? null : now,
  };
}
