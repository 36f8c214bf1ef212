import { lt } from 'drizzle-orm';
import { z } from 'zod';
import type { Tx } from '../db/client.ts';
import { despiteOutage } from '../db/despite-outage.ts';
import { notices } from '../db/schema/index.ts';
import { type Failure, fail, ok, type Result } from '../lib/errors.ts';
import { storable } from '../lib/storable.ts';
import { noticeOf } from '../notices/index.ts';
import { backoffMs } from '../queue/define.ts';
import type { Outcome } from '../queue/handle.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';
import type { AlertsDeps, AlertTimings } from './deps.ts';
import { createMailer, type Delivered, type Mail, type MailSettings, type Refusal } from './mail.ts';
import {
  type Claimed,
  claim,
  end,
  keepUntilLeaseEnds,
  postponeDue,
  settleFailed,
  settleSent,
  settleWithdrawn,
} from './outbox.ts';
import { MESSAGE_RETRIES } from './retries.ts';
import { type Destination, MAIL_KIND } from './routes.ts';

/**
 * C13: a mail has several recipients, and each gets it once. The first attempt is one SMTP session for all of them. A
 * recipient that is rejected temporarily (4xx) gets a row of kind `mail` with the same mail, retried on its own; one that
 * is rejected permanently (5xx) is reported to operators once.
 */
const leftMail = z.object({
  to: z.string(),
  mail: z.object({ id: z.string(), subject: z.string(), text: z.string(), html: z.string() }),
});

/** An address that is still rejected is reported again after this long: as long as `status` shows it. */
const RENOTIFY_MS = 7 * 86_400_000;

/** Mail server and timeouts. */
interface Sending {
  settings: MailSettings;
  timings: AlertTimings;
}

/** One mail to these addresses, with metrics. Failures and throws as Mailer.send. */
async function send(
  { metrics }: AlertsDeps,
  { settings, timings }: Sending,
  mail: Mail,
  to: readonly string[],
  signal: AbortSignal,
): Promise<Result<Delivered>> {
  const ended = metrics.request('smtp');
  const answer = await createMailer(settings, timings.callMs).send(mail, to, signal);
  if (!answer.ok) ended(answer.failure.kind);
  else if (answer.value.taken.length > 0) ended('ok');
  else ended(answer.value.again.length > 0 ? 'transient' : 'rejected');
  return answer;
}

/**
 * Sends the mail of these notices to all addresses, and settles the notices when the server has answered for each.
 * @returns failure: nobody has it, and nothing is settled
 * @throws the signal's reason, after releasing the notices
 */
export async function sendToAll(
  deps: AlertsDeps,
  sending: Sending,
  claimed: readonly Claimed[],
  mail: Mail,
  signal: AbortSignal,
): Promise<Result<void>> {
  const { host, to } = sending.settings;
  try {
    const answer = await send(deps, sending, mail, to, signal);
    if (!answer.ok) return answer;
    const { taken, again, refused } = answer.value;
    const first = [...again, ...refused][0];
    // the same refusal for every address is about us, not about them: retried, then shown as failed
    if (first && taken.length === 0 && [...again, ...refused].every(({ unspecific }) => unspecific))
      return fail('transient', `${host} rejected the mail: ${first.why}`);
    await settle(deps, sending, claimed, mail, answer.value);
    return ok(undefined);
  } catch (error) {
    if (signal.aborted) await keepUntilLeaseEnds(deps, claimed);
    throw error;
  }
}

/**
 * In one transaction: the rows of recipients that still lack the mail exist before the notices are done. Their `text` is
 * for a worker of the previous release, which takes them for operators' notices (R6).
 */
async function settle(
  { db, clock }: AlertsDeps,
  { settings: { host } }: Sending,
  claimed: readonly Claimed[],
  mail: Mail,
  { taken, again, refused }: Delivered,
): Promise<void> {
  const now = new Date(clock());
  const due = new Date(clock() + backoffMs(MESSAGE_RETRIES.backoff, 1));
  const state = taken.length + again.length > 0 ? 'sent' : 'failed';
  const remarks = [
    ...(again.length > 0 ? [`retried separately: ${addresses(again)}`] : []),
    ...(refused.length > 0 ? [`rejected for good: ${addresses(refused)}: ${refused[0]?.why}`] : []),
  ];
  const subject = storable(mail.subject);
  const left = { ...mail, subject, text: storable(mail.text), html: storable(mail.html) };
  await despiteOutage(() =>
    db.transaction(async (tx) => {
      await end(tx, claimed, {
        ...{ state, error: remarks.join('; ') || null, dueAt: now },
        sentAt: state === 'sent' ? now : null,
      });
      const leftOver = again.map(({ to, why }) => ({
        ...{ kind: MAIL_KIND, key: `mail ${mail.id} ${to}`, payload: { to, mail: left, text: subject } },
        ...{ attempts: 1, error: why, dueAt: due, createdAt: now },
      }));
      if (leftOver.length > 0) await tx.insert(notices).values(leftOver).onConflictDoNothing();
      for (const refusal of refused) await notifyRefused(tx, host, refusal, now);
    }),
  );
}

const addresses = ({ length }: readonly Refusal[]) => `${length} ${length === 1 ? 'address' : 'addresses'}`;

/** Reports a permanently rejected address to operators: once, however many mails it rejects. */
async function notifyRefused(tx: Tx, host: string, { to, why }: Refusal, now: Date): Promise<void> {
  const notice = noticeOf('mail-refused', { to, host, why });
  const values = { payload: notice.payload, dueAt: now, createdAt: now };
  await tx
    .insert(notices)
    .values({ ...notice, ...values })
    .onConflictDoUpdate({
      target: notices.key,
      set: { ...values, state: 'pending', attempts: 0, error: null, offeredAt: null, sentAt: null },
      setWhere: lt(notices.createdAt, new Date(now.getTime() - RENOTIFY_MS)),
    });
}

type AgainDestination = Extract<Destination, { via: 'again' }>;

/** Retries to single addresses, one session each, so that one bad address does not delay the others. */
export async function deliverAgain(
  deps: AlertsDeps,
  timings: AlertTimings,
  breaker: CircuitBreaker,
  { key, which, settings }: AgainDestination,
  signal: AbortSignal,
  until: number,
): Promise<Outcome> {
  const counts = { taken: 0, again: 0, refused: 0, withdrawn: 0 };
  for (;;) {
    const openUntil = breaker.openUntil(key);
    if (openUntil !== undefined) {
      const waiting = await postponeDue(deps, which, new Date(openUntil));
      return { outcome: 'backing off from the mail server', ...counts, waiting };
    }
    const [row] = await claim(deps, { key, which }, 1, timings.leaseMs);
    if (!row) return { outcome: 'done', ...counts };
    const ended = await sendLeft(deps, { settings, timings }, row, signal);
    if (typeof ended !== 'string') {
      const { failed } = await settleFailed(
        deps,
        [row],
        ended.message,
        MESSAGE_RETRIES,
        breaker.recordFailure(key),
      );
      return { outcome: ended.kind, why: ended.message, ...counts, failed };
    }
    breaker.recordSuccess(key);
    counts[ended]++;
    if (deps.clock() > until) return { outcome: 'done', ...counts };
  }
}

/** @returns the outcome, or why the server accepts no mails now. Throws as sendToAll */
async function sendLeft(
  deps: AlertsDeps,
  sending: Sending,
  row: Claimed,
  signal: AbortSignal,
): Promise<keyof Delivered | 'withdrawn' | Failure> {
  const { data } = leftMail.safeParse(row.payload);
  if (!data || !sending.settings.to.includes(data.to)) {
    await settleWithdrawn(deps, [row], 'the address is no longer in EMAIL_RECIPIENTS');
    return 'withdrawn';
  }
  try {
    const answer = await send(deps, sending, data.mail, [data.to], signal);
    if (!answer.ok) return answer.failure;
    const [again, refused] = [answer.value.again[0], answer.value.refused[0]];
    if (again) await settleFailed(deps, [row], again.why, MESSAGE_RETRIES);
    else if (refused) await settleRefused(deps, sending, row, refused);
    else await settleSent(deps, [row]);
    return again ? 'again' : refused ? 'refused' : 'taken';
  } catch (error) {
    if (signal.aborted) await keepUntilLeaseEnds(deps, [row]);
    throw error;
  }
}

const settleRefused = (
  { db, clock }: AlertsDeps,
  { settings: { host } }: Sending,
  row: Claimed,
  refusal: Refusal,
) =>
  despiteOutage(() =>
    db.transaction(async (tx) => {
      await end(tx, [row], { state: 'withdrawn', error: `rejected for good: ${refusal.why}` });
      await notifyRefused(tx, host, refusal, new Date(clock()));
    }),
  );
