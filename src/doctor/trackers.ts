import { isNotNull } from 'drizzle-orm';
import { trackers as table } from '../db/schema/index.ts';
import type { Fleet } from '../fleet/index.ts';
import { plural } from '../lib/plural.ts';
import {
  credentialSettings,
  FEED_REMEDY,
  type Tracker,
  type TrackerOverview,
  trackingOverview,
  whatWouldTrack,
} from '../tracking/index.ts';
import { type Check, type Finding, fault, ok, startWorker, warning } from './check.ts';

/** After this many intervals a run is missing, not just late. */
const LATE_INTERVALS = 3;
/** The sweep for due runs is every five seconds. */
const LATE_MS = 60_000;

/**
 * State of each tracker, from the tables only: failed logins from here would help to lock an account (C11).
 */
export const trackers: Check = {
  name: 'Trackers',
  needs: ['database'],
  async look(fleet) {
    const now = fleet.clock();
    const [{ trackers: standing, openWords, untracked }, tokens] = await Promise.all([
      trackingOverview(fleet, now),
      fleet.db
        .select({ name: table.name, expiresAt: table.tokenExpiresAt })
        .from(table)
        .where(isNotNull(table.token)),
    ]);
    const findings = standing.flatMap((one) => {
      const tracker = fleet.trackers.find(({ name }) => name === one.name);
      const expiresAt = tokens.find(({ name }) => name === one.name)?.expiresAt;
      return tracker ? trackerFindings(one, tracker, expiresAt, fleet, now) : [];
    });
    const words =
      openWords > 0
        ? [
            warning(
              `${plural(openWords, 'unmapped courier status', 'unmapped courier statuses')}: parcels with ${openWords === 1 ? 'it' : 'them'} keep their old status`,
              'orderfleet words, then: orderfleet words map TRACKER WORD STATUS',
            ),
          ]
        : [];
    const nobodys = untracked.map((group) =>
      warning(
        `${plural(group.parcels, 'parcel')} booked with "${group.bookingCourier}" ${group.parcels === 1 ? 'is' : 'are'} not tracked`,
        whatWouldTrack(fleet.trackers, group),
      ),
    );
    return [...findings, ...words, ...nobodys];
  },
};

function trackerFindings(
  one: TrackerOverview,
  tracker: Tracker,
  expiresAt: Date | null | undefined,
  { config }: Fleet,
  now: number,
): Finding[] {
  const { name, on, off, stoppedReason, waitingUntil, waitingReason } = one;
  const variables = credentialSettings(tracker.courier).join(', ');
  if (on !== (tracker.connection !== undefined)) return [differs(one, tracker, variables)];
  if (!on) return [ok(`${name} is off: ${off}${config.TRACKERS ? '' : ` (to enable it, set ${variables})`}`)];
  if (stoppedReason)
    return [
      fault(
        `${name} is stopped because its credentials were rejected: ${stoppedReason}`,
        `set ${variables} to valid credentials, and restart the scheduler and the "tracking" workers`,
      ),
    ];
  if (waitingUntil)
    return [
      warning(
        `${name} is paused until ${waitingUntil.toISOString()}: ${waitingReason}`,
        `no action; if it happens often, lower its rate limit: ${limitVariable(name)}=max/seconds`,
      ),
    ];
  const findings = [
    ...feedFindings(one),
    ...runFindings(one, tracker, now),
    ...tokenFindings(one, tracker, expiresAt, now),
  ];
  return findings.length > 0 ? findings : [ok(`${name} is on, last run on time`)];
}

const limitVariable = (name: string) => `${name.toUpperCase().replaceAll('-', '_')}_LIMIT`;

/** The scheduler's settings differ from this command's. */
const differs = ({ name, on, off }: TrackerOverview, tracker: Tracker, variables: string): Finding =>
  on
    ? warning(
        `${name} is on for the scheduler, but ${tracker.off ?? 'off'} in this environment`,
        `give this process and all "tracking" workers the same ${variables} and TRACKERS`,
      )
    : warning(
        `${name} has credentials here, but is off: ${off}`,
        `restart the scheduler with the same settings; ${startWorker('scheduler')}`,
      );

/** E7 */
const feedFindings = ({ name, feed }: TrackerOverview): Finding[] =>
  feed
    ? [
        warning(
          `The feed of ${name} has failed since ${feed.failingSince.toISOString()}: ${feed.why}${feed.byNumber ? '; its parcels are polled by number' : ''}`,
          FEED_REMEDY,
        ),
      ]
    : [];

function runFindings(
  { name, lastRun, nextRunAt }: TrackerOverview,
  { everyMs }: Tracker,
  now: number,
): Finding[] {
  if (lastRun && !lastRun.finishedAt) {
    const minutes = Math.round((now - lastRun.startedAt.getTime()) / 60_000);
    return now - lastRun.startedAt.getTime() > LATE_INTERVALS * everyMs
      ? [
          warning(
            `The run of ${name} has been running for ${plural(minutes, 'minute')}, with ${plural(lastRun.open, 'open batch', 'open batches')}`,
            `see why: orderfleet status; if no worker is running, ${startWorker('tracking')}`,
          ),
        ]
      : [];
  }
  if (!nextRunAt || now - nextRunAt.getTime() <= LATE_MS) return [];
  return [
    fault(
      `${name} is overdue by ${plural(Math.round((now - nextRunAt.getTime()) / 60_000), 'minute')}`,
      startWorker('scheduler'),
    ),
  ];
}

/** A run renews the token: it is fine if one ran since it expired, or if none is due yet. */
function tokenFindings(
  { name }: TrackerOverview,
  { connection, everyMs }: Tracker,
  expiresAt: Date | null | undefined,
  now: number,
): Finding[] {
  const past = expiresAt ? now - expiresAt.getTime() : 0;
  return connection?.access.login && past > LATE_INTERVALS * everyMs
    ? [
        warning(
          `The token of ${name} expired ${plural(Math.round(past / 60_000), 'minute')} ago and was not renewed`,
          `the next run with parcels renews it; if parcels are due, ${startWorker('tracking')}`,
        ),
      ]
    : [];
}
