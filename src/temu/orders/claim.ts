import { type Failure, FailureError } from '../../errors.ts';
import type { Outcome } from '../../queue/handle.ts';
import { offer, waitIfEarly } from '../../queue/turn.ts';
import type { OrdersDeps } from './deps.ts';
import { orderJobId } from './inbox.ts';
import { temuOrders } from './queues.ts';

/** While a worker has an order, nobody else takes it for this long (R2: under two minutes with the sweep). */
const LEASE_MS = 75_000;
/** What stepped aside comes after a thousand orders of each other store, else it would be first again. */
const PUT_OFF_PRIORITY = 100;

/** An order of the inbox in one worker's hands. */
export interface ClaimedOrder {
  storeId: string;
  sn: string;
  payload: string;
  version: number;
  attempts: number;
  incompleteSince: Date | null;
  error: string | null;
  severalStores: boolean;
  /** T18: the buyer was forgotten, and is not asked for again. */
  forgotten: boolean;
}

/** Takes a due order, or at once one that a dead worker's job brings again. Counts an attempt. */
export async function claim(
  { db, clock }: OrdersDeps,
  storeId: string,
  sn: string,
  redelivered: boolean,
): Promise<ClaimedOrder | undefined> {
  const [row] = await db.$client<ClaimedOrder[]>`
    update temu_order_inbox set attempts = attempts + 1, due_at = ${new Date(clock() + LEASE_MS)}
    where store_id = ${storeId} and parent_order_sn = ${sn} and state in ('pending', 'incomplete')
      and (${redelivered} or due_at <= ${new Date(clock())})
    returning store_id as "storeId", parent_order_sn as sn, payload::text, version, attempts,
      incomplete_since as "incompleteSince", error,
      (select count(*) > 1 from temu_stores where active) as "severalStores",
      exists (select from orders o where o.source = 'temu' and o.store_id = ${storeId} and o.marketplace_order_id = ${sn}
        and o.personal_data_erased_at is not null) as forgotten`;
  return row;
}

/** For a job whose order was not there to be claimed. @throws Wait when its turn is yet to come */
export async function whyNot(
  { db, clock }: OrdersDeps,
  { storeId, parentOrderSn }: { storeId: string; parentOrderSn: string },
): Promise<Outcome> {
  const [row] = await db.$client<{ dueAt: Date; held: boolean }[]>`
    select due_at as "dueAt", coalesce(offered_at < due_at, false) as held from temu_order_inbox
    where store_id = ${storeId} and parent_order_sn = ${parentOrderSn} and state in ('pending', 'incomplete')`;
  return waitIfEarly(row, clock());
}

/** Due again after `ms` without a spent attempt. A short wait gets its job at once, a long one from the sweep. */
export async function giveBack(
  deps: OrdersDeps,
  row: ClaimedOrder,
  ms: number,
  why: string,
): Promise<Outcome> {
  await putOff(deps, row, ms, null);
  return { outcome: why };
}

export async function tryAgain(
  deps: OrdersDeps,
  row: ClaimedOrder,
  ms: number,
  failure: Failure,
): Promise<Outcome> {
  await putOff(deps, row, ms, failure.message);
  return { outcome: 'tried again', attempt: row.attempts, inMs: ms, why: failure.message };
}

export async function putOff(
  { db, queues, clock }: OrdersDeps,
  row: ClaimedOrder,
  ms: number,
  error: string | null,
) {
  const dueAt = new Date(clock() + ms);
  const spent = error === null ? 1 : 0;
  const kept = await db.$client`
    update temu_order_inbox set due_at = ${dueAt}, offered_at = ${ms > 0 ? dueAt : null},
      attempts = greatest(attempts - ${spent}, 0), error = coalesce(${error}, error)
    where store_id = ${row.storeId} and parent_order_sn = ${row.sn} and version = ${row.version}
      and state in ('pending', 'incomplete')
    returning 1`;
  if (kept.length === 0 || ms === 0) return; // a newer copy has its own job; what is due at once waits for the sweep
  const job = {
    id: orderJobId(row.storeId, row.sn, dueAt.getTime(), clock()),
    delayMs: ms,
    priority: error === null ? PUT_OFF_PRIORITY : 1,
    payload: { v: 1 as const, storeId: row.storeId, parentOrderSn: row.sn },
  };
  await offer(
    () => queues.add(temuOrders, [job]),
    () => db.$client`
      update temu_order_inbox set offered_at = null
      where store_id = ${row.storeId} and parent_order_sn = ${row.sn} and offered_at = ${dueAt}`,
  );
}

/** R3: it fails alone and visibly; a newer copy from Temu, or `sync --failed`, brings it back. */
export async function setAside({ db }: OrdersDeps, row: ClaimedOrder, why: string): Promise<never> {
  await db.$client`
    update temu_order_inbox set state = 'failed', error = ${why}
    where store_id = ${row.storeId} and parent_order_sn = ${row.sn} and version = ${row.version}`;
  throw new FailureError({ kind: 'rejected', message: `${row.sn}: ${why}` });
}
