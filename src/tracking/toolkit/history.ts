import { isNewer, mayFollow, type Status } from '../engine/status.ts';
import type { Scan } from './courier.ts';
import type { Meaning } from './status-table.ts';
import { earliest } from './times.ts';

/** One event of a courier's history. */
export interface HistoryEvent {
  rawStatus: string;
  courierStatus: string;
  means: Meaning | undefined;
  at: Date | null;
  /** Where an event belongs among the others whose time cannot be known: a local time of an unknown zone. */
  about?: Date | null;
  /** The courier got it from the seller. */
  isPickup?: boolean;
}

type Known = HistoryEvent & { means: Status };

/**
 * E5, E6: what a parcel's history says, whatever order it comes in: its events by time (of one moment as in the list,
 * oldest first, but never back in rank), walked along the legal ways of C7. "Delivered" behind a return is `rto`. What
 * changes nothing, such as a cash-on-delivery payment after the end, is passed over. A newest event that is unmapped is
 * returned as such, with what was known before it.
 * @returns undefined for an empty history
 */
export function readHistory(events: readonly HistoryEvent[]): Scan | undefined {
  const newer = (a: HistoryEvent, b: HistoryEvent) => isNewer(placeOf(a), placeOf(b));
  const sorted = [...events].sort((a, b) => (newer(a, b) ? 1 : newer(b, a) ? -1 : 0));
  let now: Known | undefined;
  let returning = false;
  for (const event of sorted) {
    if (event.means === undefined || event.means === 'unchanged') continue;
    const means: Status = returning && event.means === 'delivered' ? 'rto' : event.means;
    returning ||= means === 'rto_in_transit';
    if (!now || means === now.means || mayFollow(now.means, means)) now = { ...event, means };
  }
  const times = (is: (event: HistoryEvent) => boolean | undefined) =>
    earliest(events.filter(is).map(({ at }) => at));
  const known = now && {
    ...scanOf(now),
    pickedUpAt: times(({ isPickup }) => isPickup),
    deliveredAt: now.means === 'delivered' ? times(({ means }) => means === 'delivered') : null,
    rtoStartedAt: returning ? times(({ means }) => means === 'rto_in_transit') : null,
  };
  const last = sorted.at(-1);
  const unmapped = sorted.findLast(({ means }) => means === undefined);
  if (unmapped && (!known || !now || newer({ ...unmapped, means: now.means }, now)))
    return { ...scanOf(unmapped), ...(known ? { before: known } : {}) };
  return known ?? (last && scanOf(last));
}

const placeOf = ({ at, about = null, means }: HistoryEvent) => ({ at: at ?? about, means });

const scanOf = ({ rawStatus, courierStatus, means, at }: HistoryEvent): Scan => ({
  ...{ is: 'scan', rawStatus, courierStatus, means, at },
});
