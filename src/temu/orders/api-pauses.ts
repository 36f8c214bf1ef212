import type { TransactionSql } from 'postgres';
import { type Failure, fail, type Result } from '../../errors.ts';
import { minutes } from '../../queue/define.ts';
import type { Store, TemuApi } from '../client.ts';
import type { OrdersBase, OrdersDeps } from './deps.ts';

/** T16 "scope missing": how long a store's API is left alone before one order asks again. */
export const API_PAUSE_MS = minutes(60);
/** Whoever asks again has this long to hear: a worker that dies meanwhile leaves it to the next one. */
const ASKING_MS = minutes(2);
const SOON_MS = minutes(2);

type Pause = { failure: Failure; asksNow: boolean };

/** The pause of an API for a store, if there is one, and whether this caller is the one to ask Temu again. */
export async function pauseOf(
  { db, clock }: OrdersDeps,
  store: Store,
  api: TemuApi,
): Promise<Pause | undefined> {
  // the first one to come after the pause is over asks Temu, and moves the end so that the others still wait
  const [row] = await db.$client<{ reason: string; asks: boolean }[]>`
    with probe as (
      update temu_api_pauses set retry_at = ${new Date(clock() + ASKING_MS)}
      where store_id = ${store.id} and api = ${api} and retry_at <= ${new Date(clock())} returning 1)
    select reason, exists (select from probe) as asks from temu_api_pauses where store_id = ${store.id} and api = ${api}`;
  return row && { failure: fail('scope', row.reason).failure, asksNow: row.asks };
}

/** Answers that do not tell whether Temu lets the store call an API: it is closed, or nothing came of the call. */
export const saysNothingOf = (answer: Result<unknown>): boolean =>
  !answer.ok &&
  ['scope', 'throttled', 'transient', 'malformed', 'credentials', 'bug', 'unknownOutcome'].includes(
    answer.failure.kind,
  );

/** Asking came to nothing: the next order asks. */
export const askNextTime = ({ db, clock }: OrdersDeps, store: Store, api: TemuApi) =>
  db.$client`
    update temu_api_pauses set retry_at = ${new Date(clock())} where store_id = ${store.id} and api = ${api}`;

/**
 * Temu has opened the API: every order of the store that waits for a part is due, and so is what was given up for want
 * of it after T13's eight days.
 */
export async function resumeApi({ db, clock }: OrdersDeps, store: Store, api: TemuApi): Promise<void> {
  const now = new Date(clock());
  await db.$client.begin(async (sql) => {
    await sql`delete from temu_api_pauses where store_id = ${store.id} and api = ${api}`;
    await wakeIncomplete(sql, store.id, now);
    await sql`
      update temu_order_inbox i set state = 'incomplete', incomplete_since = ${now}, due_at = ${now}, offered_at = null
      from orders o
      where i.store_id = ${store.id} and i.state = 'stored' and i.error is not null
        and o.source = 'temu' and o.store_id = i.store_id and o.marketplace_order_id = i.parent_order_sn
        and (o.status = 'Incomplete' or ${api === 'orderAmount'} and o.order_total_amount is null)`;
  });
}

/** Orders that wait for a part are due now; not those that are soon anyway, or in a worker's hands. */
const wakeIncomplete = (sql: TransactionSql, storeId: string, now: Date) => sql`
  update temu_order_inbox set due_at = ${now}, offered_at = null
  where store_id = ${storeId} and state = 'incomplete' and due_at > ${new Date(now.getTime() + SOON_MS)}`;

/**
 * For an order that was stored without the part that a pause kept from it: Temu may have opened the API meanwhile, when
 * the order was still in a worker's hands and `resumeApi` passed it by. It waits for a resume that is under way, and
 * makes the order due if the pause is gone.
 */
export async function dueIfResumed(
  { db, clock }: OrdersDeps,
  store: Store,
  api: TemuApi,
  parentOrderSn: string,
): Promise<void> {
  await db.$client.begin(async (sql) => {
    const pauses = await sql`
      select from temu_api_pauses where store_id = ${store.id} and api = ${api} for share`;
    if (pauses.length > 0) return;
    await sql`
      update temu_order_inbox set due_at = ${new Date(clock())}, offered_at = null
      where store_id = ${store.id} and parent_order_sn = ${parentOrderSn} and state = 'incomplete'`;
  });
}

/** A store has new credentials: what it was not allowed is asked for again, by the next of its orders (T16). */
export async function askPausedApisAgain({ db, clock }: OrdersBase, storeId: string): Promise<void> {
  const now = new Date(clock());
  await db.$client.begin(async (sql) => {
    const asked = await sql<{ api: TemuApi }[]>`
      update temu_api_pauses set retry_at = ${now} where store_id = ${storeId} returning api`;
    if (asked.length === 0) return;
    await wakeIncomplete(sql, storeId, now);
    if (asked.some(({ api }) => api === 'orderList'))
      await sql`
        update temu_sync_windows set due_at = ${now}, offered_at = null
        where store_id = ${storeId} and state = 'open' and error is not null`;
  });
}

/** T16 "scope missing": this API rests for this store, people hear of it once; orders come in without its part. */
export async function pauseApi(
  { db, clock }: OrdersDeps,
  store: Store,
  api: TemuApi,
  failure: Failure,
): Promise<void> {
  await db.$client.begin(async (sql) => {
    const [pause] = await sql<{ fresh: boolean }[]>`
      insert into temu_api_pauses (store_id, api, reason, retry_at)
      values (${store.id}, ${api}, ${failure.message}, ${new Date(clock() + API_PAUSE_MS)})
      on conflict (store_id, api) do update set reason = excluded.reason, retry_at = excluded.retry_at
      returning xmax = 0 as fresh`;
    if (!pause?.fresh) return;
    await sql`
      insert into notices (kind, key, subject, payload) values (
        'scope-missing', ${`scope-${store.id}-${api}-${Math.floor(clock() / 86_400_000)}`}, ${store.id}, ${sql.json(
          {
            store: store.name,
            text: `Temu does not open ${api} to this store (${failure.code ?? ''} ${failure.message}): ask Temu's business contact to allow it, then authorise the app again; it is asked for again every hour`,
          },
        )}) on conflict (key) do nothing`;
  });
}
