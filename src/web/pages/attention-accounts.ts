import { relative } from '../../lib/format-time.ts';
import { plural } from '../../lib/plural.ts';
import type { StoreOverview } from '../../temu/overview.ts';
import { FEED_REMEDY, type TrackerOverview, whatWouldTrack } from '../../tracking/index.ts';
import type { AttentionItem, FleetState } from './overview-data.ts';

/** More items of a kind than this are combined in one. */
export const MOST_ALIKE = 3;
/** Three times the interval of a store (T2) without a complete window. */
const LATE_SYNC_MS = 16 * 60_000;
const named = (name: string) => `Store “${name}”`;
const names = (list: readonly { name: string }[]) =>
  `${list
    .slice(0, MOST_ALIKE)
    .map(({ name }) => `“${name}”`)
    .join(', ')}${list.length > MOST_ALIKE ? ` and ${list.length - MOST_ALIKE} more` : ''}`;

/** One item each, or one for all when there are many. */
const each = <T extends { name: string }>(
  list: readonly T[],
  one: (item: T) => AttentionItem,
  many: (list: readonly T[]) => AttentionItem,
): AttentionItem[] => (list.length > MOST_ALIKE ? [many(list)] : list.map(one));

const toStores = { href: '#stores', text: 'See the stores' };

/** Stores that are paused, fail to sync, or have not been synced for a while. */
export function stores({ overview, now }: FleetState): AttentionItem[] {
  const all = overview.stores;
  const refused = all.filter(({ active, pausedBy }) => !active && pausedBy === 'temu');
  const byHand = all.filter((store) => !store.active && !refused.includes(store));
  const reading = all.filter(({ active, reading }) => active && reading?.error);
  const late = all.filter((store) => isLate(store, now) && !reading.includes(store));
  const closed = all.filter(({ pausedApis }) => Object.keys(pausedApis).length > 0);
  const shared = { severity: 'info', link: toStores } as const;
  return [
    ...each<StoreOverview>(
      refused,
      ({ name, pausedReason }) => ({
        severity: 'action',
        what: `${named(name)} is paused`,
        todo: pausedReason ?? 'No reason was given.',
      }),
      (list) => ({
        severity: 'action',
        what: `${list.length} stores are paused: ${names(list)}`,
        todo: list[0]?.pausedReason ?? '',
        link: toStores,
      }),
    ),
    ...each<StoreOverview>(
      byHand,
      ({ name, pausedReason }) => ({
        severity: 'info',
        what: `${named(name)} is paused: ${pausedReason ?? 'no reason was given'}`,
        todo: 'To resume it:',
        command: `orderfleet store resume "${name}"`,
      }),
      (list) => ({
        ...shared,
        what: `${list.length} stores are paused manually: ${names(list)}`,
        todo: 'To resume one: orderfleet store resume.',
      }),
    ),
    ...each<StoreOverview>(
      reading,
      ({ name, reading }) => ({
        ...shared,
        what: `${named(name)} is failing to sync: ${reading?.error}`,
        todo: 'It is retried automatically.',
      }),
      (list) => ({
        ...shared,
        what: `${list.length} stores are failing to sync: ${names(list)}`,
        todo: `They are retried automatically. The first error: ${list[0]?.reading?.error}`,
      }),
    ),
    ...each<StoreOverview>(
      late,
      ({ name, lastSyncedAt }) => ({
        ...shared,
        what: `${named(name)} was last synced ${relative(lastSyncedAt, now)}`,
        todo: 'Stores sync every five minutes. Check that the scheduler and the Temu workers are running.',
      }),
      (list) => ({
        ...shared,
        what: `${list.length} stores have not been synced for 15 minutes: ${names(list)}`,
        todo: 'Stores sync every five minutes. Check that the scheduler and the Temu workers are running.',
      }),
    ),
    ...each<StoreOverview>(
      closed,
      ({ name, pausedApis }) => ({
        ...shared,
        what: `Temu denies the store “${name}” access to ${Object.keys(pausedApis).join(', ')}`,
        todo: `${Object.values(pausedApis)[0]}; retried every hour.`,
      }),
      (list) => ({
        ...shared,
        what: `Temu denies ${list.length} stores access to some APIs: ${names(list)}`,
        todo: 'Authorise the app for these APIs in the seller centre; they are retried every hour.',
      }),
    ),
  ];
}

/** Synced before, but not at the moment. A new store is still importing its first 90 days. */
const isLate = ({ active, lastSyncedAt, reading }: StoreOverview, now: number) =>
  active &&
  lastSyncedAt !== null &&
  now - lastSyncedAt.getTime() > LATE_SYNC_MS &&
  // from JSON, which has no dates
  !(reading && now - new Date(reading.since).getTime() < LATE_SYNC_MS);

/** Couriers that reject our credentials, those that do not respond, and those that are behind. */
export function couriers({ overview, failedRuns, trackers, now }: FleetState): AttentionItem[] {
  return overview.tracking.trackers
    .filter(({ on }) => on)
    .flatMap((tracker): AttentionItem[] => {
      const link = { href: '#couriers', text: 'See the couriers' };
      if (tracker.stoppedReason)
        return [
          {
            severity: 'action',
            what: `${tracker.title} has rejected our credentials for ${relative(tracker.stoppedAt, now).replace(/ ago$/, '')}: ${tracker.stoppedReason}`,
            todo: 'Correct them in the environment and restart the workers; it is retried every hour.',
            link,
          },
        ];
      const run = failedRuns.find(({ tracker: name }) => name === tracker.name);
      if (run)
        return [
          {
            severity: run.failed * 2 > run.planned ? 'action' : 'info',
            what: `The last run of ${tracker.title} failed for ${run.failed.toLocaleString('en')} of ${plural(run.planned, 'parcel')}: ${run.why ?? 'unknown reason'}`,
            todo: 'On HTTP 5xx or no response the courier itself is down, and every run retries. Otherwise check its URL and credentials:',
            command: 'orderfleet doctor',
            link,
          },
        ];
      if (tracker.feed?.byNumber)
        return [
          {
            severity: 'info',
            what: `The feed of ${tracker.title} has failed for ${relative(tracker.feed.failingSince, now).replace(/ ago$/, '')}: ${tracker.feed.why}`,
            todo: `Its parcels are polled by number, which takes many more requests. ${FEED_REMEDY.charAt(0).toUpperCase()}${FEED_REMEDY.slice(1)}.`,
            link,
          },
        ];
      const behind = behindMs(tracker, trackers.find(({ name }) => name === tracker.name)?.everyMs ?? 0, now);
      return behind === undefined
        ? []
        : [
            {
              severity: 'info',
              what: `${tracker.title} is behind: a parcel was last checked ${relative(tracker.oldestAskedAt, now)}`,
              todo: 'Check that the scheduler and the tracking workers are running. If they are, there are more parcels than its rate limit allows.',
              link,
            },
          ];
    });
}

/** E10: what nobody tracks, but for couriers that TRACKERS leaves out on purpose. */
export function untracked({ overview, trackers }: FleetState): AttentionItem[] {
  return overview.tracking.untracked
    .filter(({ tracker }) => trackers.find(({ name }) => name === tracker)?.off !== 'notChosen')
    .map((group) => ({
      severity: 'info',
      what: `${plural(group.parcels, 'parcel')} booked with “${group.bookingCourier}” ${group.parcels === 1 ? 'is' : 'are'} not tracked`,
      todo: `To track them: ${whatWouldTrack(trackers, group)}.`,
      link: { href: '#couriers', text: 'See the couriers' },
    }));
}

/** Older than three runs; during a cooldown there is nothing to do. */
function behindMs({ oldestAskedAt, waitingUntil }: TrackerOverview, intervalMs: number, now: number) {
  if (!oldestAskedAt || waitingUntil || intervalMs === 0) return undefined;
  const age = now - oldestAskedAt.getTime();
  return age > 3 * intervalMs + 60_000 ? age : undefined;
}
