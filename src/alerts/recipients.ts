import { z } from 'zod';
import type { Sql } from '../db/client.ts';
import { despiteOutage } from '../db/despite-outage.ts';
import { type Failure, fail, ok, type Result } from '../errors.ts';
import { backoffMs } from '../queue/define.ts';
import type { Outcome } from '../queue/handle.ts';
import { storable } from '../storable.ts';
import { type AlertsDeps, type AlertTimings, MESSAGE_RETRIES } from './deps.ts';
import { createMailer, type Delivered, type Mail, type MailSettings, type Refusal } from './mail.ts';
import {
  type Claimed,
  claim,
  keepUntilLeaseEnds,
  postponeDue,
  settleFailed,
  settleSent,
  withdraw,
} from './outbox.ts';
import { type Destination, MAIL_KIND, REFUSED_KIND } from './routes.ts';
import type { Rests } from './turns.ts';

/**
 * C13: a mail goes to several people, and each gets it once. The first try is one conversation for all of them. Who was
 * refused for the moment then has a row of kind `mail` of their own, with the mail as it was, which is tried again alone;
 * who was refused for good is named to people once.
 */
const leftMail = z.object({
  to: z.string(),
  mail: z.object({ id: z.string(), subject: z.string(), text: z.string(), html: z.string() }),
});

/** An address that is refused for good is told of again after this long, if it still is: as long as `status` shows it. */
const TOLD_AGAIN_MS = 7 * 86_400_000;

/** What the mailers of this room need: whose server, and how long a call to it may take. */
interface Sending {
  settings: MailSettings;
  timings: AlertTimings;
}

/** One mail to these addresses, counted. Failures and throws as Mailer.send. */
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
 * A mail that is made of these notices, to all addresses; the notices are settled when the server has said something of
 * each address.
 * @returns failure: nobody has it, and nothing is settled
 * @throws the signal's reason, and gives the attempt back before
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
    // said of all alike, it is about us: it is put right within the day's tries, or people see that nobody has the mail
    if (first && taken.length === 0 && [...again, ...refused].every(({ unspecific }) => unspecific))
      return fail('transient', `${host} does not take the mail: ${first.why}`);
    await settle(deps, sending, claimed, mail, answer.value);
    return ok(undefined);
  } catch (error) {
    if (signal.aborted) await keepUntilLeaseEnds(deps, claimed);
    throw error;
  }
}

/**
 * In one transaction, so that whoever lacks the mail has a row of their own before the notices are done. Its `text` is for
 * a worker of the version before, which takes it for a matter of people's (R6).
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
    ...(again.length > 0 ? [`tried again alone: ${addresses(again)}`] : []),
    ...(refused.length > 0 ? [`refused for good: ${addresses(refused)}: ${refused[0]?.why}`] : []),
  ];
  const subject = storable(mail.subject);
  const left = { ...mail, subject, text: storable(mail.text), html: storable(mail.html) };
  await despiteOutage(() =>
    db.$client.begin(async (tx) => {
      const sql = tx as unknown as Sql;
      await sql`
        update notices set state = ${state}, error = ${remarks.join('; ') || null}, due_at = ${now},
          sent_at = ${state === 'sent' ? now : null}
        where id = any(${claimed.map(({ id }) => id)}) and state = 'pending'`;
      for (const { to, why } of again)
        await sql`
          insert into notices (kind, key, payload, attempts, error, due_at, created_at)
          values (${MAIL_KIND}, ${`mail ${mail.id} ${to}`}, ${sql.json({ to, mail: left, text: subject })}, 1, ${why}, ${due}, ${now})
          on conflict (key) do nothing`;
      for (const refusal of refused) await tell(sql, host, refusal, now);
    }),
  );
}

const addresses = ({ length }: readonly Refusal[]) => `${length} ${length === 1 ? 'address' : 'addresses'}`;

/** Names an address that is refused for good to people: once, however many mails it is refused for. */
const tell = (sql: Sql, host: string, { to, why }: Refusal, now: Date) => sql`
  insert into notices as n (kind, key, payload, due_at, created_at)
  values (${REFUSED_KIND}, ${`${REFUSED_KIND} ${to}`}, ${sql.json({
    text: storable(
      `${host} takes no mails for ${to} (${why}): correct EMAIL_RECIPIENTS, or fix that mailbox`,
    ),
  })}, ${now}, ${now})
  on conflict (key) do update set payload = excluded.payload, state = 'pending', attempts = 0, error = null,
    due_at = excluded.due_at, offered_at = null, created_at = excluded.created_at, sent_at = null
  where n.created_at < ${new Date(now.getTime() - TOLD_AGAIN_MS)}`;

type AgainDestination = Extract<Destination, { via: 'again' }>;

/** The rows of single addresses, one conversation each: what is wrong with one holds up none of the others. */
export async function deliverAgain(
  deps: AlertsDeps,
  timings: AlertTimings,
  rests: Rests,
  { key, which, settings }: AgainDestination,
  signal: AbortSignal,
  until: number,
): Promise<Outcome> {
  const counts = { taken: 0, again: 0, refused: 0, withdrawn: 0 };
  for (;;) {
    const restUntil = rests.until(key);
    if (restUntil !== undefined) {
      const waiting = await postponeDue(deps, which, new Date(restUntil));
      return { outcome: 'the mail server rests', ...counts, waiting };
    }
    const [row] = await claim(deps, { key, which }, 1, timings.leaseMs);
    if (!row) return { outcome: 'done', ...counts };
    const ended = await sendLeft(deps, { settings, timings }, row, signal);
    if (typeof ended !== 'string') {
      const { failed } = await settleFailed(deps, [row], ended.message, MESSAGE_RETRIES, rests.failed(key));
      return { outcome: ended.kind, why: ended.message, ...counts, failed };
    }
    rests.ok(key);
    counts[ended]++;
    if (deps.clock() > until) return { outcome: 'done', ...counts };
  }
}

/** @returns what became of it, or why the server takes no mails now. Throws as sendToAll */
async function sendLeft(
  deps: AlertsDeps,
  sending: Sending,
  row: Claimed,
  signal: AbortSignal,
): Promise<keyof Delivered | 'withdrawn' | Failure> {
  const { data } = leftMail.safeParse(row.payload);
  if (!data || !sending.settings.to.includes(data.to)) {
    await withdraw(deps, [row], 'the address is not among EMAIL_RECIPIENTS any more');
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
  { id }: Claimed,
  refusal: Refusal,
) =>
  despiteOutage(() =>
    db.$client.begin(async (tx) => {
      const sql = tx as unknown as Sql;
      await sql`
        update notices set state = 'withdrawn', error = ${`refused for good: ${refusal.why}`}
        where id = ${id} and state = 'pending'`;
      await tell(sql, host, refusal, new Date(clock()));
    }),
  );
