import { type Failure, fail } from '../../errors.ts';
import { minutes } from '../../queue/define.ts';
import type { Store, TemuApi } from '../client.ts';
import type { OrdersDeps } from './deps.ts';

/** T16 "scope missing": how long a store's API is left alone before one order asks again. */
const API_PAUSE_MS = minutes(60);
/** An order that is due this soon anyway, or in a worker's hands, is left as it is. */
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
      update temu_api_pauses set retry_at = ${new Date(clock() + API_PAUSE_MS)}
      where store_id = ${store.id} and api = ${api} and retry_at <= ${new Date(clock())} returning 1)
    select reason, exists (select from probe) as asks from temu_api_pauses where store_id = ${store.id} and api = ${api}`;
  return row && { failure: fail('scope', row.reason).failure, asksNow: row.asks };
}

/** Temu has opened the API: every order of the store that waits for a part is due. */
export async function resumeApi({ db, clock }: OrdersDeps, store: Store, api: TemuApi): Promise<void> {
  await db.$client.begin(async (sql) => {
    await sql`delete from temu_api_pauses where store_id = ${store.id} and api = ${api}`;
    await sql`
      update temu_order_inbox set due_at = ${new Date(clock())}, offered_at = null
      where store_id = ${store.id} and state = 'incomplete' and due_at > ${new Date(clock() + SOON_MS)}`;
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
    const [fresh] = await sql`
      insert into temu_api_pauses (store_id, api, reason, retry_at)
      values (${store.id}, ${api}, ${failure.message}, ${new Date(clock() + API_PAUSE_MS)})
      on conflict (store_id, api) do nothing returning 1`;
    if (!fresh) return;
    await sql`
      insert into notices (kind, key, payload) values ('scope-missing', ${`scope-${store.id}-${api}-${Math.floor(clock() / 86_400_000)}`}, ${sql.json(
        {
          store: store.name,
          text: `Temu does not open ${api} to this store (${failure.code ?? ''} ${failure.message}): ask Temu's business contact to allow it, then authorise the app again; it is asked for again every hour`,
        },
      )}) on conflict (key) do nothing`;
  });
}
