/** C5: where a parcel is, in the ten words that everything else speaks. */
export const STATUSES = [
  'pending',
  'in_transit',
  'out_for_delivery',
  'ndr',
  'delivered',
  'rto_in_transit',
  'rto',
  'booking_cancelled',
  'lost',
  'destroyed',
] as const;
export type Status = (typeof STATUSES)[number];

/** C5: nothing more comes, but by the exceptions of C7. `rto` is back at the origin; on the way is `rto_in_transit`. */
const FINAL: ReadonlySet<Status> = new Set(['delivered', 'rto', 'booking_cancelled', 'lost', 'destroyed']);
export const isFinal = (status: Status): boolean => FINAL.has(status);

/** How far along a status is; among final ones it only settles ties of one moment. */
const RANK: Record<Status, number> = {
  pending: 10,
  in_transit: 45,
  out_for_delivery: 55,
  ndr: 65,
  rto_in_transit: 75,
  lost: 100,
  booking_cancelled: 101,
  destroyed: 102,
  rto: 103,
  delivered: 104,
};

interface Said {
  at: Date | null;
  means: Status | 'unchanged' | undefined;
}

/**
 * C7: which of two words about one parcel counts: the one with the newer time; of one moment the one that is further
 * along, where a word that changes nothing, or is unknown, is behind all others. Without a time: before any that has one.
 */
export function isNewer(one: Said, other: Said): boolean {
  const [a, b] = [one, other].map(({ at }) => at?.getTime() ?? Number.NEGATIVE_INFINITY) as [number, number];
  return a === b ? rankOf(one.means) > rankOf(other.means) : a > b;
}

const rankOf = (means: Said['means']): number =>
  means === undefined ? 0 : means === 'unchanged' ? 1 : RANK[means];

/** C7: the ways back that are no mistake. */
const BACK: Partial<Record<Status, readonly Status[]>> = {
  out_for_delivery: ['in_transit'],
  ndr: ['out_for_delivery'],
};

/** True when a parcel may go from one status to another by a word that is newer (C7). */
function mayFollow(from: Status, to: Status): boolean {
  if (from === 'lost') return true; // found again
  // the courier took it back after all; its end may be heard of before its beginning
  if (from === 'delivered') return to === 'rto_in_transit' || to === 'rto';
  if (isFinal(from)) return false;
  return RANK[to] > RANK[from] || (BACK[from]?.includes(to) ?? false);
}

/** A parcel's status with what it rests on. */
export interface Standing {
  status: Status;
  /** When the courier says that this status began to hold, epoch milliseconds; null before any word of it. */
  at: number | null;
  /** The newest time at which each status was heard of, also of those that could not be applied. */
  seen: Partial<Record<Status, number>>;
}

export interface Heard {
  status: Status;
  at: number;
}

export interface Advance {
  standing: Standing;
  /** The new status, when it is another one. */
  change: Heard | null;
}

/**
 * C7: forward only. What was heard is kept by status with its newest time, and the status follows from what was heard
 * and not from the order in which it was heard: the words are laid out by event time, then rank, and walked along the
 * ways that are legal. A final status is never walked again from the start: only a newer word that may follow it counts.
 */
export function advance(standing: Standing, heard: Heard): Advance {
  const known = standing.seen[heard.status];
  if (known !== undefined && known >= heard.at) return { standing, change: null };
  const seen = { ...standing.seen, [heard.status]: heard.at };
  // a status without a time came from elsewhere (an import): it holds until a word may follow it
  const fixed = isFinal(standing.status) || standing.at === null;
  const start: Heard = fixed
    ? { status: standing.status, at: standing.at ?? Number.NEGATIVE_INFINITY }
    : { status: 'pending', at: Number.NEGATIVE_INFINITY };
  const words = (Object.entries(seen) as [Status, number][])
    .map(([status, at]) => ({ status, at }))
    .sort((a, b) => a.at - b.at || RANK[a.status] - RANK[b.status]);
  let now = start;
  for (const word of words) {
    if (word.at <= start.at) continue;
    if (word.status === now.status || mayFollow(now.status, word.status)) now = word;
  }
  const at = now.at === Number.NEGATIVE_INFINITY ? null : now.at;
  return {
    standing: { status: now.status, at, seen },
    change: now.status === standing.status ? null : now,
  };
}
