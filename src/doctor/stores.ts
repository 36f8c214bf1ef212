import { temuStores } from '../db/schema/index.ts';
import { type Failure, messageOf } from '../errors.ts';
import type { Fleet } from '../fleet.ts';
import { type StoreOverview, storeOverviews } from '../temu/overview.ts';
import { openStore, remedyFor } from '../temu/stores.ts';
import {
  type Check,
  type Finding,
  fault,
  ok,
  orWell,
  several,
  startWorker,
  unknown,
  warning,
} from './check.ts';

/** T2 reads every five minutes: three turns without an end are no accident. */
const OLD_SYNC_MS = 15 * 60_000;
/** How long a call may wait for its place in the account's quota. */
const PATIENCE_MS = 5_000;

/** Stores as the tables have them: pauses, syncs, orders that were set aside. */
export const stores: Check = {
  name: 'Stores',
  needs: ['database'],
  async look({ db, clock }) {
    const all = await storeOverviews(db, { open: true });
    if (all.length === 0) return [ok('none yet: orderfleet store add --help')];
    return orWell(
      all.flatMap((store) => storeFindings(store, clock())),
      `${several(all.length, 'store')} synced within ${OLD_SYNC_MS / 60_000} minutes`,
    );
  },
};

function storeFindings(store: StoreOverview, now: number): Finding[] {
  const { name } = store;
  const apis = Object.entries(store.pausedApis).map(([api, reason]) =>
    fault(
      `Temu does not open ${api} to "${name}": ${reason}`,
      `ask Temu’s business contact to allow it, authorise the app again, then: orderfleet store rotate "${name}" --access-token …`,
    ),
  );
  const failed =
    store.inbox.failed > 0
      ? [
          warning(
            `${several(store.inbox.failed, 'order')} of "${name}" could not be stored`,
            'see why: orderfleet explain ORDER, or the page /orders; they come back when Temu changes them',
          ),
        ]
      : [];
  return [...(store.active ? syncFindings(store, now) : [pausedFinding(store)]), ...apis, ...failed];
}

/** The reason of a refusal has its remedy in it (T1). */
const pausedFinding = ({ name, pausedReason, pausedBy }: StoreOverview): Finding =>
  pausedBy === 'temu' && pausedReason
    ? fault(`"${name}" is paused since Temu refuses it`, pausedReason)
    : warning(
        `"${name}" is paused: ${pausedReason ?? 'no reason given'}`,
        `orderfleet store resume "${name}"`,
      );

function syncFindings({ name, lastSyncedAt, reading }: StoreOverview, now: number): Finding[] {
  // the times inside of JSON are texts
  const since = lastSyncedAt ?? (reading ? new Date(reading.since) : null);
  const age = since ? now - since.getTime() : Number.POSITIVE_INFINITY;
  if (age <= OLD_SYNC_MS) return [];
  const says = lastSyncedAt
    ? `"${name}" is synced up to ${Math.round(age / 60_000)} minutes ago`
    : `"${name}" has never been synced`;
  if (reading?.error)
    return [fault(`${says}: ${reading.error}`, 'mend what the message says; the next try comes on its own')];
  return reading
    ? [warning(`${says}; its orders are being read`, `wait, or read faster: ${startWorker('temu')}`)]
    : [fault(`${says}, and nobody reads it`, `${startWorker('scheduler')}; ${startWorker('temu')}`)];
}

/** Every active store's credentials, really tried: one signed call that asks for one order of the last minute. */
export const credentials: Check = {
  name: 'Credentials of the stores',
  needs: ['database'],
  async look(fleet, signal) {
    const rows = (await fleet.db.select().from(temuStores).orderBy(temuStores.name)).filter(
      ({ active }) => active,
    );
    const findings = await Promise.all(rows.map((row) => tryStore(fleet, row, signal)));
    return orWell(
      findings.flat(),
      rows.length > 0 ? `Temu takes those of ${several(rows.length, 'store')}` : 'none to try',
    );
  },
};

async function tryStore(
  { temu, secrets, clock }: Fleet,
  row: typeof temuStores.$inferSelect,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { name } = row;
  let store: ReturnType<typeof openStore>;
  try {
    store = openStore(row, secrets);
  } catch (error) {
    return [unknown(`"${name}" could not be tried: ${messageOf(error)}`)]; // told by the check of the keys
  }
  const now = Math.floor(clock() / 1000);
  const answer = await temu.call(
    store,
    'orderList',
    { pageSize: 1, pageNumber: 1, updateAtStart: now - 60, updateAtEnd: now },
    { share: 'pages', signal, patienceMs: PATIENCE_MS },
  );
  return answer.ok ? [] : [refused(name, answer.failure)];
}

function refused(name: string, failure: Failure): Finding {
  const says = `Temu refuses "${name}" (${failure.code ?? 'no code'}: ${failure.message})`;
  switch (failure.kind) {
    case 'credentials':
    case 'bug':
      return fault(says, remedyFor(failure, name));
    case 'scope':
      return fault(
        says,
        `let the app read orders in Temu’s seller centre, then: orderfleet store rotate "${name}" --access-token …`,
      );
    case 'throttled':
      return unknown(`"${name}" could not be tried: the quota of its app is used up`);
    case 'transient':
    case 'malformed':
    case 'unknownOutcome':
      return warning(
        `Temu gives no answer for "${name}": ${failure.message}`,
        'check the network to Temu’s address of its region (TEMU_EU_URL, TEMU_US_URL, TEMU_GLOBAL_URL)',
      );
    default:
      return fault(says, remedyFor(failure, name));
  }
}
