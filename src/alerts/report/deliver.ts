import type { Outcome } from '../../queue/handle.ts';
import { type AlertsDeps, type AlertTimings, MESSAGE_RETRIES } from '../deps.ts';
import type { Mail } from '../mail.ts';
import { type Claimed, claim, postponeDue, release, settleFailed, withdraw } from '../outbox.ts';
import { sendToAll } from '../recipients.ts';
import type { Destination } from '../routes.ts';
import type { Rests } from '../turns.ts';
import { digestTime } from './digest-time.ts';
import { htmlReport } from './html.ts';
import { type Run, reportOf } from './model.ts';
import { plainReport } from './plain.ts';

/** Runs of a busy day are a thousand. */
const REPORT_ROWS = 2_000;
/** More runs than this that are due together, after a failure of the mail server for instance, are one mail. */
const MOST_SINGLE = 10;

type ReportDestination = Extract<Destination, { via: 'report' }>;

/** C13: a mail after each run, or one over all runs since the last digest. A mail that cannot be sent is tried again. */
export async function deliverReports(
  deps: AlertsDeps,
  timings: AlertTimings,
  rests: Rests,
  destination: ReportDestination,
  signal: AbortSignal,
): Promise<Outcome> {
  const { key, which, settings } = destination;
  const restUntil = rests.until(key);
  if (restUntil !== undefined) {
    const waiting = await postponeDue(deps, which, new Date(restUntil));
    return { outcome: 'the mail server rests', waiting };
  }
  const claimed = await claim(deps, destination, REPORT_ROWS, timings.leaseMs);
  const due = await keepForDigest(deps, claimed);
  const mails = await compose(deps, due);
  let sent = 0;
  for (const [index, mail] of mails.entries()) {
    const answer = await sendToAll(deps, { settings, timings }, mail.claimed, mailOf(mail), signal);
    if (answer.ok) {
      rests.ok(key);
      sent++;
      continue;
    }
    const { failure } = answer;
    const until = rests.failed(key);
    const { failed } = await settleFailed(deps, mail.claimed, failure.message, MESSAGE_RETRIES, until);
    const left = mails.slice(index + 1).flatMap((one) => one.claimed);
    await release(deps, left, new Date(until));
    return { outcome: failure.kind, why: failure.message, sent, failed };
  }
  return { outcome: 'done', sent, waiting: claimed.length - due.length };
}

/** Runs whose digest is not due yet wait for it. */
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
  if (lost.length > 0) await withdraw(deps, lost, 'the run is not stored any more');
  const runOf = ({ payload }: Claimed) => runs.get(String(payload.runId)) as Run;
  if (deps.config.REPORTS === 'each' && known.length <= MOST_SINGLE)
    return known.map((one) => ({ claimed: [one], runs: [runOf(one)] }));
  return known.length === 0 ? [] : [{ claimed: known, runs: known.map(runOf) }];
}

async function runsOf({ db }: AlertsDeps, due: readonly Claimed[]): Promise<Map<string, Run>> {
  const rows = await db.$client<Run[]>`
    select id, tracker, planned, updated, unchanged, not_found as "notFound", mismatched, unmapped, failed, requests,
      request_limit as "requestLimit", waits, waited_ms::float8 as "waitedMs", words, errors, started_at as "startedAt",
      coalesce(finished_at, started_at) as "finishedAt"
    from tracking_runs where id::text = any(${due.map(({ payload }) => String(payload.runId))})`;
  return new Map(rows.map((run) => [run.id, run]));
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
