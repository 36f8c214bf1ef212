import { plural } from '../lib/plural.ts';
import { FEED_REMEDY, type TrackerOverview } from '../tracking/index.ts';
import { dim, duration, green, red, relative, table, utc, yellow } from './output.ts';

const count = (number: number) => number.toLocaleString('en');

function state({ on, stoppedReason, waitingUntil }: TrackerOverview): string {
  if (!on) return dim('off');
  return stoppedReason ? red('stopped') : waitingUntil ? yellow('paused') : green('on');
}

/** "36,000 of 36,000: 120 updated, 3 failed". */
function numbers({ lastRun }: TrackerOverview): string | null {
  if (!lastRun) return null;
  const { planned, updated, unchanged, notFound, mismatched, unmapped, failed } = lastRun;
  const asked = updated + unchanged + notFound + mismatched + unmapped + failed;
  const parts = [
    `${count(updated)} updated`,
    ...(notFound > 0 ? [`${count(notFound)} not found`] : []),
    ...(mismatched > 0 ? [yellow(`${count(mismatched)} of another order`)] : []),
    ...(unmapped > 0 ? [yellow(`${count(unmapped)} with an unmapped status`)] : []),
    ...(failed > 0 ? [red(`${count(failed)} failed`)] : []),
  ];
  return `${count(asked)} of ${count(planned)}: ${parts.join(', ')}`;
}

function lastRun({ lastRun }: TrackerOverview): string {
  if (!lastRun) return 'never';
  const { startedAt, finishedAt } = lastRun;
  if (!finishedAt) return `running since ${relative(startedAt).replace(/ ago$/, '')}`;
  return `${relative(startedAt)}, ${duration(finishedAt.getTime() - startedAt.getTime())}`;
}

function reasons(one: TrackerOverview): string[] {
  const { name } = one;
  if (!one.on) return [`${dim(`${name} is off`)}: ${one.off}`];
  const skipped = one.skippedAt && one.skippedAt > (one.lastRun?.startedAt ?? 0);
  return [
    ...(one.stoppedReason
      ? [`${red(`${name} is stopped`)} since ${relative(one.stoppedAt)}: ${one.stoppedReason}`]
      : []),
    ...(one.waitingUntil
      ? [
          `${yellow(`${name} is paused until ${utc(one.waitingUntil)}`)} (${relative(one.waitingUntil)}): ${one.waitingReason}`,
        ]
      : []),
    ...(one.feed
      ? [
          `${yellow(`the feed of ${name} has failed`)} since ${utc(one.feed.failingSince)}: ${one.feed.why}${one.feed.byNumber ? '; its parcels are polled by number' : ''}\n  ${dim('→')} ${FEED_REMEDY}`,
        ]
      : []),
    // a pause has the same reason
    ...(skipped && !one.waitingUntil
      ? [`${name} skipped a run ${relative(one.skippedAt)}: ${one.skippedReason}`]
      : []),
  ];
}

/** One line per tracker, and below them why some do not run. */
export const trackersTable = (trackers: readonly TrackerOverview[]): string =>
  [
    table(
      ['tracker', 'state', 'parcels', 'unchecked', 'oldest check', 'last run', 'checked', 'next run'],
      trackers.map((one) => [
        one.name,
        state(one),
        count(one.parcels),
        count(one.neverAsked),
        one.oldestAskedAt ? relative(one.oldestAskedAt) : null,
        lastRun(one),
        numbers(one),
        one.on && one.nextRunAt
          ? one.nextRunAt.getTime() < Date.now()
            ? 'now'
            : relative(one.nextRunAt)
          : null,
      ]),
    ),
    ...trackers.flatMap(reasons),
  ].join('\n');

/** "in_transit 1,200 · delivered 30". */
export const countsLine = (counts: Record<string, number>): string =>
  Object.entries(counts)
    .map(([status, parcels]) => `${status} ${count(parcels)}`)
    .join(' · ') || 'none';

export const wordsLine = (open: number): string[] =>
  open > 0
    ? [yellow(`${plural(open, 'unmapped courier status', 'unmapped courier statuses')}: orderfleet words`)]
    : [];
