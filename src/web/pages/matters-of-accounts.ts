import { relative } from '../../durations.ts';
import type { StoreOverview } from '../../temu/overview.ts';
import type { TrackerOverview } from '../../tracking/index.ts';
import { type Matter, MOST_ALIKE, plural, type Situation } from './matter.ts';

/** Three turns of a store (T2) without a complete window. */
const LATE_SYNC_MS = 16 * 60_000;
const named = (name: string) => `Store “${name}”`;
const names = (list: readonly { name: string }[]) =>
  `${list
    .slice(0, MOST_ALIKE)
    .map(({ name }) => `“${name}”`)
    .join(', ')}${list.length > MOST_ALIKE ? ` and ${list.length - MOST_ALIKE} more` : ''}`;

/** One matter each, or one for all when there are many. */
const each = <T extends { name: string }>(
  list: readonly T[],
  one: (item: T) => Matter,
  many: (list: readonly T[]) => Matter,
): Matter[] => (list.length > MOST_ALIKE ? [many(list)] : list.map(one));

const toStores = { href: '#stores', text: 'See the stores' };

/** Stores that are paused, cannot be read, or have not been read for a while. */
export function stores({ overview, now }: Situation): Matter[] {
  const all = overview.stores;
  const refused = all.filter(({ active, pausedBy }) => !active && pausedBy === 'temu');
  const byHand = all.filter((store) => !store.active && !refused.includes(store));
  const reading = all.filter(({ active, reading }) => active && reading?.error);
  const late = all.filter((store) => isLate(store, now) && !reading.includes(store));
  const closed = all.filter(({ pausedApis }) => Object.keys(pausedApis).length > 0);
  const shared = { urgency: 'look', link: toStores } as const;
  return [
    ...each<StoreOverview>(
      refused,
      ({ name, pausedReason }) => ({
        urgency: 'act',
        what: `${named(name)} is paused`,
        todo: pausedReason ?? 'No reason is given.',
      }),
      (list) => ({
        urgency: 'act',
        what: `${list.length} stores are paused: ${names(list)}`,
        todo: list[0]?.pausedReason ?? '',
        link: toStores,
      }),
    ),
    ...each<StoreOverview>(
      byHand,
      ({ name, pausedReason }) => ({
        urgency: 'look',
        what: `${named(name)} is paused: ${pausedReason ?? 'no reason is given'}`,
        todo: 'To let it go on:',
        command: `orderfleet store resume "${name}"`,
      }),
      (list) => ({
        ...shared,
        what: `${list.length} stores are paused by hand: ${names(list)}`,
        todo: 'To let one go on: orderfleet store resume.',
      }),
    ),
    ...each<StoreOverview>(
      reading,
      ({ name, reading }) => ({
        ...shared,
        what: `${named(name)} cannot be read for now: ${reading?.error}`,
        todo: 'It is tried again by itself.',
      }),
      (list) => ({
        ...shared,
        what: `${list.length} stores cannot be read for now: ${names(list)}`,
        todo: `They are tried again. The first says: ${list[0]?.reading?.error}`,
      }),
    ),
    ...each<StoreOverview>(
      late,
      ({ name, lastSyncedAt }) => ({
        ...shared,
        what: `${named(name)} was last read ${relative(lastSyncedAt, now)}`,
        todo: 'Every store’s turn comes every five minutes: do the scheduler and the Temu workers run?',
      }),
      (list) => ({
        ...shared,
        what: `${list.length} stores have not been read for a quarter of an hour: ${names(list)}`,
        todo: 'Every store’s turn comes every five minutes: do the scheduler and the Temu workers run?',
      }),
    ),
    ...each<StoreOverview>(
      closed,
      ({ name, pausedApis }) => ({
        ...shared,
        what: `Temu does not let the store “${name}” call ${Object.keys(pausedApis).join(', ')}`,
        todo: `${Object.values(pausedApis)[0]}; asked for again every hour.`,
      }),
      (list) => ({
        ...shared,
        what: `Temu does not open every call to ${list.length} stores: ${names(list)}`,
        todo: 'Authorise the app for these calls in the seller centre; they are asked for again every hour.',
      }),
    ),
  ];
}

/** A store that has been read before and is not at the moment. One that is new is still at its first 90 days. */
const isLate = ({ active, lastSyncedAt, reading }: StoreOverview, now: number) =>
  active &&
  lastSyncedAt !== null &&
  now - lastSyncedAt.getTime() > LATE_SYNC_MS &&
  // JSON has no times
  !(reading && now - new Date(reading.since).getTime() < LATE_SYNC_MS);

/** Couriers that refuse us, those that do not answer, and those that are behind. */
export function couriers({ overview, rounds, roundMs, now }: Situation): Matter[] {
  return overview.tracking.trackers
    .filter(({ on }) => on)
    .flatMap((tracker): Matter[] => {
      const link = { href: '#couriers', text: 'See the couriers' };
      if (tracker.stoppedReason)
        return [
          {
            urgency: 'act',
            what: `${tracker.title} refuses our credentials since ${relative(tracker.stoppedAt, now).replace(/ ago$/, '')}: ${tracker.stoppedReason}`,
            todo: 'Set the right ones in the environment and restart the workers; it is tried again every hour.',
            link,
          },
        ];
      const round = rounds.find(({ tracker: name }) => name === tracker.name);
      if (round)
        return [
          {
            urgency: round.failed * 2 > round.planned ? 'act' : 'look',
            what: `The last round of ${tracker.title} failed for ${round.failed.toLocaleString('en')} of ${plural(round.planned, 'parcel')}: ${round.why ?? 'no reason is known'}`,
            todo: 'With HTTP 5xx or no answer the courier itself is in trouble, and every round asks again. Else check its address and credentials:',
            command: 'orderfleet doctor',
            link,
          },
        ];
      const behind = behindMs(tracker, roundMs.get(tracker.name) ?? 0, now);
      return behind === undefined
        ? []
        : [
            {
              urgency: 'look',
              what: `${tracker.title} is behind: a parcel was last asked for ${relative(tracker.oldestAskedAt, now)}`,
              todo: 'Do the scheduler and the tracking workers run? If they do, there are more parcels than its limit allows.',
              link,
            },
          ];
    });
}

/** Older than three rounds; while it was told to wait nobody can do anything. */
function behindMs({ oldestAskedAt, waitingUntil }: TrackerOverview, roundMs: number, now: number) {
  if (!oldestAskedAt || waitingUntil || roundMs === 0) return undefined;
  const age = now - oldestAskedAt.getTime();
  return age > 3 * roundMs + 60_000 ? age : undefined;
}
