import type { Fleet } from '../fleet.ts';
import { type Tracker, type TrackerOverview, trackingOverview } from '../tracking/index.ts';
import { type Check, type Finding, fault, ok, startWorker, warning } from './check.ts';

/** So many rounds after its turn a run has not come late but not at all. */
const LATE_ROUNDS = 3;
/** A turn is looked for every five seconds. */
const LATE_MS = 60_000;

interface TokenRow {
  name: string;
  expiresAt: Date;
}

/**
 * How each tracker stands, by the tables alone: a login here would bring an account nearer to its lock (C11).
 */
export const trackers: Check = {
  name: 'Trackers',
  needs: ['database'],
  async look(fleet) {
    const now = fleet.clock();
    const [{ trackers: standing, openWords }, tokens] = await Promise.all([
      trackingOverview(fleet.db, fleet.trackers, now),
      fleet.db.$client<TokenRow[]>`
        select name, token_expires_at as "expiresAt" from trackers where token is not null and token_expires_at is not null`,
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
              `${openWords} words of couriers are in no table: their parcels keep their status`,
              'orderfleet words, then: orderfleet words map TRACKER WORD STATUS',
            ),
          ]
        : [];
    return [...findings, ...words];
  },
};

function trackerFindings(
  one: TrackerOverview,
  tracker: Tracker,
  expiresAt: Date | undefined,
  { config }: Fleet,
  now: number,
): Finding[] {
  const { name, on, off, stoppedReason, waitingUntil, waitingReason } = one;
  const variables = Object.keys(tracker.courier.settings)
    .filter((variable) => /(?<!WEBHOOK_)(TOKEN|KEY|USER|EMAIL|PASSWORD)/.test(variable))
    .join(', ');
  if (on !== (tracker.connection !== undefined)) return [differs(one, tracker, variables)];
  if (!on)
    return [ok(`${name} is off: ${off}${config.TRACKERS ? '' : ` (${variables} would switch it on)`}`)];
  if (stoppedReason)
    return [
      fault(
        `${name} is stopped, its credentials are refused: ${stoppedReason}`,
        `set ${variables} to what the courier accepts, and restart the scheduler and the "tracking" workers`,
      ),
    ];
  if (waitingUntil)
    return [
      warning(
        `${name} waits until ${waitingUntil.toISOString()}: ${waitingReason}`,
        `nothing; if it happens often, lower its rate: ${limitVariable(name)}=max/seconds`,
      ),
    ];
  const findings = [...runFindings(one, tracker, now), ...tokenFindings(one, tracker, expiresAt, now)];
  return findings.length > 0 ? findings : [ok(`${name} is on, its last run was in time`)];
}

const limitVariable = (name: string) => `${name.toUpperCase().replaceAll('-', '_')}_LIMIT`;

/** The scheduler and this command have other settings. */
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

function runFindings(
  { name, lastRun, nextRunAt }: TrackerOverview,
  { everyMs }: Tracker,
  now: number,
): Finding[] {
  if (lastRun && !lastRun.finishedAt) {
    const minutes = Math.round((now - lastRun.startedAt.getTime()) / 60_000);
    return now - lastRun.startedAt.getTime() > LATE_ROUNDS * everyMs
      ? [
          warning(
            `The run of ${name} has gone on for ${minutes} minutes, with ${lastRun.open} batches open`,
            `see why: orderfleet status; if nobody works on it, ${startWorker('tracking')}`,
          ),
        ]
      : [];
  }
  if (!nextRunAt || now - nextRunAt.getTime() <= LATE_MS) return [];
  return [
    fault(
      `${name} should have run ${Math.round((now - nextRunAt.getTime()) / 60_000)} minutes ago`,
      startWorker('scheduler'),
    ),
  ];
}

/** A run renews it: with one since its end, or none due yet, all is well. */
function tokenFindings(
  { name }: TrackerOverview,
  { connection, everyMs }: Tracker,
  expiresAt: Date | undefined,
  now: number,
): Finding[] {
  const past = expiresAt ? now - expiresAt.getTime() : 0;
  return connection?.access.login && past > LATE_ROUNDS * everyMs
    ? [
        warning(
          `The token of ${name} expired ${Math.round(past / 60_000)} minutes ago and was not renewed`,
          `the next run that has parcels renews it; if there should be some, ${startWorker('tracking')}`,
        ),
      ]
    : [];
}
