import { temuStores } from '../db/schema/index.ts';
import type { Fleet } from '../fleet/index.ts';
import { type Failure, messageOf } from '../lib/errors.ts';
import { plural } from '../lib/plural.ts';
import { type StoreOverview, storeOverviews } from '../temu/overview.ts';
import { openStore, remedyFor } from '../temu/stores.ts';
import { type Check, type Finding, fault, ok, orWell, startWorker, unknown, warning } from './check.ts';

/** T2 syncs every five minutes: three missed ones are no accident. */
const OLD_SYNC_MS = 15 * 60_000;
/** How long a call may wait for the account's rate limit. */
const PATIENCE_MS = 5_000;

/** Stores by the tables: pauses, syncs, quarantined orders. */
export const stores: Check = {
  name: 'Stores',
  needs: ['database'],
  async look({ db, clock }) {
    const all = await storeOverviews(db, { open: true });
    if (all.length === 0) return [ok('none yet: orderfleet store add --help')];
    return orWell(
      all.flatMap((store) => storeFindings(store, clock())),
      `${plural(all.length, 'store')} synced within ${OLD_SYNC_MS / 60_000} minutes`,
    );
  },
};

function storeFindings(store: StoreOverview, now: number): Finding[] {
  const { name } = store;
  const apis = Object.entries(store.pausedApis).map(([api, reason]) =>
    fault(
      `"${name}" has no access to ${api} on Temu: ${reason}`,
      `ask your Temu contact to allow it, authorize the app again, then: orderfleet store rotate "${name}" --access-token …`,
    ),
  );
  const failed =
    store.inbox.failed > 0
      ? [
          warning(
            `${plural(store.inbox.failed, 'order')} of "${name}" could not be stored`,
            'see why: orderfleet explain ORDER, or the page /orders; after a fix: orderfleet sync --failed',
          ),
        ]
      : [];
  return [...(store.active ? syncFindings(store, now) : [pausedFinding(store)]), ...apis, ...failed];
}

/** The reason of a refusal contains its remedy (T1). */
const pausedFinding = ({ name, pausedReason, pausedBy }: StoreOverview): Finding =>
  pausedBy === 'temu' && pausedReason
    ? fault(`"${name}" is paused because Temu rejects it`, pausedReason)
    : warning(
        `"${name}" is paused: ${pausedReason ?? 'no reason given'}`,
        `orderfleet store resume "${name}"`,
      );

function syncFindings({ name, lastSyncedAt, reading }: StoreOverview, now: number): Finding[] {
  // times inside JSON are strings
  const since = lastSyncedAt ?? (reading ? new Date(reading.since) : null);
  const age = since ? now - since.getTime() : Number.POSITIVE_INFINITY;
  if (age <= OLD_SYNC_MS) return [];
  const says = lastSyncedAt
    ? `"${name}" was last synced ${plural(Math.round(age / 60_000), 'minute')} ago`
    : `"${name}" has never been synced`;
  if (reading?.error)
    return [
      fault(`${says}: ${reading.error}`, 'fix what the message reports; the next attempt is automatic'),
    ];
  return reading
    ? [warning(`${says}; a sync is running`, `wait, or sync faster: ${startWorker('temu')}`)]
    : [fault(`${says}, and no sync is running`, `${startWorker('scheduler')}; ${startWorker('temu')}`)];
}

/** Every active store's credentials, by a real signed call for one order of the last minute. */
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
      rows.length > 0 ? `Temu accepts those of ${plural(rows.length, 'store')}` : 'no active stores',
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
    return [unknown(`"${name}" could not be checked: ${messageOf(error)}`)]; // reported by the check of the keys
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
  const says = `Temu rejects "${name}" (${failure.code ?? 'no code'}: ${failure.message})`;
  switch (failure.kind) {
    case 'credentials':
    case 'bug':
      return fault(says, remedyFor(failure, name));
    case 'scope':
      return fault(
        says,
        `allow the app to read orders in Temu’s seller centre, then: orderfleet store rotate "${name}" --access-token …`,
      );
    case 'throttled':
      return unknown(`"${name}" could not be checked: the rate limit of its app is used up`);
    case 'transient':
    case 'malformed':
    case 'unknownOutcome':
      return warning(
        `No response from Temu for "${name}": ${failure.message}`,
        'check the network connection to Temu’s URL of its region (TEMU_EU_URL, TEMU_US_URL, TEMU_GLOBAL_URL)',
      );
    default:
      return fault(says, remedyFor(failure, name));
  }
}
