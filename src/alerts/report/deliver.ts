import { eq, getTableColumns } from 'drizzle-orm';
import { z } from 'zod';
import { isAnyOf } from '../../db/query.ts';
import { trackers, trackingRuns } from '../../db/schema/index.ts';
import type { Outcome } from '../../queue/handle.ts';
import type { CircuitBreaker } from '../circuit-breaker.ts';
import type { AlertsDeps, AlertTimings } from '../deps.ts';
import type { Mail } from '../mail.ts';
import { type Claimed, claim, postponeDue, release, settleFailed, settleWithdrawn } from '../outbox.ts';
import { sendToAll } from '../recipients.ts';
import { MESSAGE_RETRIES } from '../retries.ts';
import type { Destination } from '../routes.ts';
import { digestTime } from './digest-time.ts';
import { htmlReport } from './html.ts';
import { type Run, reportOf } from './model.ts';
import { plainReport } from './plain.ts';

/** A busy day has about a thousand runs. */
const REPORT_ROWS = 2_000;
/** More due runs than this, e.g. after a mail server outage, are combined in one mail. */
const MOST_SINGLE = 10;

type ReportDestination = Extract<Destination, { via: 'report' }>;

/** C13: a mail after each run, or a digest of all runs since the last one. Failed mails are retried. */
export async function deliverReports(
  deps: AlertsDeps,
  timings: AlertTimings,
  breaker: CircuitBreaker,
  destination: ReportDestination,
  signal: AbortSignal,
): Promise<Outcome> {
  const { key, which, settings } = destination;
  const openUntil = breaker.openUntil(key);
  if (openUntil !== undefined) {
    const waiting = await postponeDue(deps, which, new Date(openUntil));
    return { outcome: 'backing off from the mail server', waiting };
  }
  const claimed = await claim(deps, destination, REPORT_ROWS, timings.leaseMs);
  const due = await keepForDigest(deps, claimed);
  const mails = await compose(deps, due);
  let sent = 0;
  for (const [index, mail] of mails.entries()) {
    const answer = await sendToAll(deps, { settings, timings }, mail.claimed, mailOf(mail), signal);
    if (answer.ok) {
      breaker.recordSuccess(key);
      sent++;
      continue;
    }
    const { failure } = answer;
    const until = breaker.recordFailure(key);
    const { failed } = await settleFailed(deps, mail.claimed, failure.message, MESSAGE_RETRIES, until);
    const left = mails.slice(index + 1).flatMap((one) => one.claimed);
    await release(deps, left, new Date(until));
    return { outcome: failure.kind, why: failure.message, sent, failed };
  }
  return { outcome: 'done', sent, waiting: claimed.length - due.length };
}

/** Releases runs whose digest is not due yet. */
async function keepForDigest(deps: AlertsDeps, claimed: readonly Claimed[]): Promise<Claimed[]> {
  const due: Claimed[] = [];
  const later = new Map<number, Claimed[]>();
  for (const one of claimed) {
    const at = digestTime(one.createdAt, deps.config.REPORTS).getTime();
    if (at <= deps.clock()) due.push(one);
    else later.set(at, [...(later.get(at) ?? []), one]);
  }
  for (const [at, waiting] of later) await release(deps, waiting, new Date(at));
  return due;
}

interface ReportMail {
  claimed: Claimed[];
  runs: Run[];
}

async function compose(deps: AlertsDeps, due: readonly Claimed[]): Promise<ReportMail[]> {
  const runs = await runsOf(deps, due);
  const known = due.filter(({ payload }) => runs.has(String(payload.runId)));
  const lost = due.filter(({ payload }) => !runs.has(String(payload.runId)));
  if (lost.length > 0) await settleWithdrawn(deps, lost, 'the run is no longer stored');
  const runOf = ({ payload }: Claimed) => runs.get(String(payload.runId)) as Run;
  if (deps.config.REPORTS === 'each' && known.length <= MOST_SINGLE)
    return known.map((one) => ({ claimed: [one], runs: [runOf(one)] }));
  return known.length === 0 ? [] : [{ claimed: known, runs: known.map(runOf) }];
}

const runId = z.guid();

async function runsOf({ db }: AlertsDeps, due: readonly Claimed[]): Promise<Map<string, Run>> {
  const ids = due.flatMap(({ payload }) => runId.safeParse(payload.runId).data ?? []);
  const runs = await db
    .select({ ...getTableColumns(trackingRuns), title: trackers.title })
    .from(trackingRuns)
    .leftJoin(trackers, eq(trackers.name, trackingRuns.tracker))
    .where(isAnyOf(trackingRuns.id, ids));
  return new Map(runs.map((run) => [run.id, { ...run, finishedAt: run.finishedAt ?? run.startedAt }]));
}

function mailOf({ claimed, runs }: ReportMail): Mail {
  const report = reportOf(runs);
  return {
    id: `report-${claimed[0]?.id}-${claimed.length}`,
    subject: report.subject,
    text: plainReport(report),
    html: htmlReport(report),
  };
}
