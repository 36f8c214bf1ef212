import { and, eq, gt, isNotNull, isNull, or, sql } from 'drizzle-orm';
import type { Tx } from '../../db/client.ts';
import { assignments, statement } from '../../db/query.ts';
import { orders, temuApiPauses, temuOrderInbox, temuSyncWindows } from '../../db/schema/index.ts';
import { type Failure, fail, type Result } from '../../lib/errors.ts';
import { notify } from '../../notices/index.ts';
import { minutes } from '../../queue/define.ts';
import type { Store, TemuApi } from '../client.ts';
import type { OrdersBase, OrdersDeps } from '../deps.ts';

/** T16 "scope missing": how long an API is not called for a store before one order probes it. */
export const API_PAUSE_MS = minutes(60);
/** A probe has this long for its response: when its worker dies, the next order probes. */
const PROBE_MS = minutes(2);
const SOON_MS = minutes(2);

const ph = sql.placeholder;

type Pause = { failure: Failure; asksNow: boolean };

const isOf = (storeId: unknown, api: unknown) =>
  sql`${temuApiPauses.storeId} = ${storeId} and ${temuApiPauses.api} = ${api}`;

// the first caller after the pause probes, and moves the end so that the others still wait
const PAUSE = statement(
  { reason: temuApiPauses.reason, asks: sql<boolean>`exists (select from probe)` },
  (read) => {
    const which = isOf(ph('storeId'), ph('api'));
    return sql`
      with probe as (
        update ${temuApiPauses} set ${assignments(temuApiPauses, { retryAt: ph('probing') })}
        where ${which} and ${temuApiPauses.retryAt} <= ${ph('now')} returning 1)
      select ${read} from ${temuApiPauses} where ${which}`;
  },
);

/** The pause of an API for a store, if any, and whether this caller is the one to probe. */
export async function breakerState(
  { db, clock }: OrdersDeps,
  { id: storeId }: Store,
  api: TemuApi,
): Promise<Pause | undefined> {
  const [now, probing] = [new Date(clock()), new Date(clock() + PROBE_MS)];
  const [row] = await PAUSE.run(db, { storeId, api, now, probing });
  return row && { failure: fail('scope', row.reason).failure, asksNow: row.asks };
}

/** Responses that leave open whether the store may call an API: it was throttled, or the call failed. */
export const isInconclusive = (answer: Result<unknown>): boolean =>
  !answer.ok &&
  ['scope', 'throttled', 'transient', 'malformed', 'credentials', 'bug', 'unknownOutcome'].includes(
    answer.failure.kind,
  );

/** The probe was inconclusive: the next order probes. */
export const releaseProbe = ({ db, clock }: OrdersDeps, store: Store, api: TemuApi) =>
  db
    .update(temuApiPauses)
    .set({ retryAt: new Date(clock()) })
    .where(isOf(store.id, api));

/**
 * Temu has enabled the API: every order of the store that waits for a part is due, and so is what was given up
 * without it after T13's eight days.
 */
export async function resumeApi({ db, clock }: OrdersDeps, store: Store, api: TemuApi): Promise<void> {
  const now = new Date(clock());
  const { storeId, parentOrderSn, state, error } = temuOrderInbox;
  const lacksPart = or(
    eq(orders.status, 'Incomplete'),
    api === 'orderAmount' ? isNull(orders.orderTotalAmount) : undefined,
  );
  await db.transaction(async (tx) => {
    await tx.delete(temuApiPauses).where(isOf(store.id, api));
    await wakeIncomplete(tx, store.id, now);
    await tx
      .update(temuOrderInbox)
      .set({ state: 'incomplete', incompleteSince: now, ...atOnce(now) })
      .from(orders)
      .where(
        and(
          eq(storeId, store.id),
          eq(state, 'stored'),
          isNotNull(error),
          eq(orders.source, 'temu'),
          eq(orders.storeId, storeId),
          eq(orders.marketplaceOrderId, parentOrderSn),
          lacksPart,
        ),
      );
  });
}

const atOnce = (now: Date) => ({ dueAt: now, offeredAt: null });

const isIncomplete = sql`${temuOrderInbox.state} = 'incomplete'`;

/** Orders that wait for a part are due now; except those that are due soon anyway, or that a worker has. */
const wakeIncomplete = (tx: Tx, storeId: string, now: Date) =>
  tx
    .update(temuOrderInbox)
    .set(atOnce(now))
    .where(
      and(
        eq(temuOrderInbox.storeId, storeId),
        isIncomplete,
        gt(temuOrderInbox.dueAt, new Date(now.getTime() + SOON_MS)),
      ),
    );

/**
 * For an order that was stored without the part that a pause withheld: the API may have been enabled while a worker
 * still had the order, and `resumeApi` skipped it. Waits for a resume in progress, and makes the order due if the
 * pause is gone.
 */
export async function requeueIfClosed(
  { db, clock }: OrdersDeps,
  store: Store,
  api: TemuApi,
  parentOrderSn: string,
): Promise<void> {
  await db.transaction(async (tx) => {
    const pauses = await tx
      .select({ api: temuApiPauses.api })
      .from(temuApiPauses)
      .where(isOf(store.id, api))
      .for('share');
    if (pauses.length > 0) return;
    await tx
      .update(temuOrderInbox)
      .set(atOnce(new Date(clock())))
      .where(
        and(
          eq(temuOrderInbox.storeId, store.id),
          eq(temuOrderInbox.parentOrderSn, parentOrderSn),
          isIncomplete,
        ),
      );
  });
}

/** A store has new credentials: its next order probes what was refused before (T16). */
export async function probeNow({ db, clock }: OrdersBase, storeId: string): Promise<void> {
  const now = new Date(clock());
  await db.transaction(async (tx) => {
    const asked = await tx
      .update(temuApiPauses)
      .set({ retryAt: now })
      .where(eq(temuApiPauses.storeId, storeId))
      .returning({ api: temuApiPauses.api });
    if (asked.length === 0) return;
    await wakeIncomplete(tx, storeId, now);
    if (asked.some(({ api }) => api === 'orderList'))
      await tx
        .update(temuSyncWindows)
        .set(atOnce(now))
        .where(
          and(
            eq(temuSyncWindows.storeId, storeId),
            eq(temuSyncWindows.state, 'open'),
            isNotNull(temuSyncWindows.error),
          ),
        );
  });
}

/** T16 "scope missing": pauses this API for this store and notifies operators once; orders come in without its part. */
export async function pauseApi(
  { db, clock }: OrdersDeps,
  store: Store,
  api: TemuApi,
  { code, message }: Failure,
): Promise<void> {
  const pause = { reason: message, retryAt: new Date(clock() + API_PAUSE_MS) };
  await db.transaction(async (tx) => {
    const [paused] = await tx
      .insert(temuApiPauses)
      .values({ storeId: store.id, api, ...pause })
      .onConflictDoUpdate({ target: [temuApiPauses.storeId, temuApiPauses.api], set: pause })
      .returning({ fresh: sql<boolean>`xmax = 0` });
    if (!paused?.fresh) return;
    await notify(tx, 'scope-missing', {
      ...{ storeId: store.id, store: store.name, api, why: `${code ?? ''} ${message}` },
      day: Math.floor(clock() / 86_400_000),
    });
  });
}
