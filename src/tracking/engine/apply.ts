import { isDeepStrictEqual } from 'node:util';
import { eq, sql } from 'drizzle-orm';
import type { Tx } from '../../db/client.ts';
import { assignments, insertion, isAnyOf, statement } from '../../db/query.ts';
import { recordset } from '../../db/recordset.ts';
import { orders, shipmentEvents, shipments, trackedParcels } from '../../db/schema/index.ts';
import { recordUnmapped, statusMappingsOf } from '../mappings/unmapped.ts';
import type { Tracker } from '../registry.ts';
import type { Item } from '../toolkit/courier.ts';
import {
  type Evaluation,
  evaluateScan,
  type Parcel,
  type StatusMappings,
  type StatusUpdate,
} from './evaluate.ts';
import { originalsOf, recordLinks } from './links.ts';
import { type Counts, NO_COUNTS } from './runs.ts';
import { isFinal, type Status } from './status.ts';
import { CODES, lockOrders, notifyOfChanges, setCodesOfSeveral } from './status-effects.ts';

const ph = sql.placeholder;

export interface Applied {
  /** What the response meant for each parcel, by id. */
  results: Map<string, ParcelResult>;
  /** Unmapped statuses with their counts. */
  words: Record<string, number>;
  /** Parcels that left a final status by one of C7's exceptions. */
  reopened: { number: string; from: Status; to: Status }[];
}
type ParcelResult = Exclude<keyof Counts, 'failed' | 'requests'>;

/** How many parcels had each result. */
export function countsOf(results: Iterable<ParcelResult>): Counts {
  const counts = { ...NO_COUNTS };
  for (const result of results) counts[result]++;
  return counts;
}

/**
 * Applies responses to their parcels (C4–C9) in the caller's transaction: one statement for all of them, one for their
 * history, one for their orders, and the notices of changes (C12). What need not wait for another's result is sent along
 * with it (P5).
 * @param items by the parcel's number
 */
export async function applyAnswer(
  tx: Tx,
  tracker: Tracker,
  parcels: readonly Parcel[],
  items: ReadonlyMap<string, Item>,
  now: number,
): Promise<Applied> {
  const unknown = [...items.values()].some((item) => item.is === 'scan' && item.means === undefined);
  const mappings: StatusMappings = unknown ? await statusMappingsOf(tx, tracker.name) : new Map();
  const evaluations = parcels.map((parcel) => ({
    parcel,
    evaluation: evaluateScan(parcel, items.get(parcel.number), now, mappings),
  }));
  const changes = evaluations.flatMap(changeOf);
  await writeParcels(tx, tracker, evaluations, now);
  const meant = evaluations.filter(({ evaluation }) => evaluation.is !== 'mismatched');
  await recordLinks(
    tx,
    meant.map(({ parcel }) => parcel),
    items,
    now,
  );
  for (const { original, item } of await originalsOf(tx, tracker, changes))
    await applyAnswer(tx, tracker, [original], new Map([[original.number, item]]), now);
  const words = await recordUnmapped(tx, tracker, evaluations.flatMap(unmappedOf), now);
  const reopened = changes.flatMap(({ parcel, update }) =>
    isFinal(parcel.status) ? [{ number: parcel.number, from: parcel.status, to: update.status }] : [],
  );
  const results = new Map(
    evaluations.map(({ parcel, evaluation: { is } }) => [parcel.id, is === 'ended' ? 'notFound' : is]),
  );
  return { results, words, reopened };
}

type Evaluated = { parcel: Parcel; evaluation: Evaluation };

const changeOf = ({ parcel, evaluation }: Evaluated) =>
  'update' in evaluation && evaluation.update?.changed ? [{ parcel, update: evaluation.update }] : [];
const unmappedOf = ({ parcel, evaluation }: Evaluated) =>
  evaluation.is === 'unmapped' ? [{ parcel, rawStatus: evaluation.rawStatus, scan: evaluation.scan }] : [];

const {
  from,
  textOf,
  fields: result,
} = recordset('result', {
  id: shipments.id,
  order: shipments.orderId,
  status: shipments.status,
  statusAt: shipments.statusAt,
  statusSeen: shipments.statusSeen,
  courierStatus: shipments.courierStatus,
  pickedUpAt: shipments.pickedUpAt,
  deliveredAt: shipments.deliveredAt,
  rtoStartedAt: shipments.rtoStartedAt,
  unmappedWord: shipments.unmappedWord,
  unmappedAt: shipments.unmappedAt,
  unmappedBy: shipments.unmappedBy,
  /** The code that a change of status sets; null: it has not changed. */
  code: orders.orderStatus,
  /** When it changed, as text. */
  changedAt: shipments.courierStatus,
});

/**
 * Parcels, their history (C7) and their orders' codes, in one statement: most of what a row costs Postgres is reading it
 * from its parameter (P5). Without the columns that the trigger of tracked_by reads: it would be called for each row.
 * @returns orders with several parcels, whose codes are not set
 */
const WRITE = statement({ order: result.order }, (read) => {
  const set = assignments(shipments, {
    lastTrackedAt: ph('now'),
    status: result.status,
    statusAt: result.statusAt,
    statusSeen: result.statusSeen,
    courierStatus: result.courierStatus,
    // C7: the first time of each status stays
    statusTimes: sql`case when ${result.code} is null then ${shipments.statusTimes}
      else jsonb_build_object(${result.status}, ${result.changedAt}) || ${shipments.statusTimes} end`,
    pickedUpAt: sql`coalesce(${shipments.pickedUpAt}, ${result.pickedUpAt})`,
    deliveredAt: sql`coalesce(${shipments.deliveredAt}, ${result.deliveredAt})`,
    rtoStartedAt: sql`coalesce(${shipments.rtoStartedAt}, ${result.rtoStartedAt})`,
    unmappedWord: result.unmappedWord,
    unmappedBy: sql`coalesce(${result.unmappedBy}, ${shipments.unmappedBy})`,
    unmappedAt: sql`case when ${result.unmappedBy} is not null then ${result.unmappedAt}
      when ${result.unmappedWord} is not null then ${shipments.unmappedAt} end`,
  });
  const events = insertion(shipmentEvents, {
    shipmentId: result.id,
    status: result.status,
    courierStatus: result.courierStatus,
    occurredAt: sql`${result.changedAt}::timestamptz`,
    recordedAt: ph('now'),
  });
  const several = sql`(select count(*) from ${shipments} where ${shipments.orderId} = ${result.order}) > 1`;
  const code = assignments(orders, { orderStatus: result.code });
  return sql`
    with result as materialized (
      select *, ${result.code} is not null and ${several} as several from ${from(ph('parcels'))}),
    parcels as (update ${shipments} set ${set} from result where ${shipments.id} = ${result.id}),
    history as (${events} from result where ${result.code} is not null),
    codes as (
      update ${orders} set ${code} from result
      where ${orders.id} = ${result.order} and not result.several and ${orders.orderStatus} <> ${result.code})
    select ${read} from result where result.several`;
});

const TOUCH = statement({}, () => {
  const set = assignments(shipments, { lastTrackedAt: ph('now') });
  return sql`update ${shipments} set ${set} where ${isAnyOf(shipments.id, ph('ids'))}`;
});
const TOUCH_TRACKED = statement({}, () => {
  const set = assignments(trackedParcels, { lastTrackedAt: ph('now') });
  return sql`update ${trackedParcels} set ${set} where ${isAnyOf(trackedParcels.shipmentId, ph('ids'))}`;
});

/** These parcels count as requested now; C6: whatever the result, so that no parcel starves the others. */
export async function touch(tx: Tx, ids: readonly string[], now: number): Promise<void> {
  if (ids.length > 0)
    await Promise.all([TOUCH, TOUCH_TRACKED].map((set) => set.run(tx, { ids, now: new Date(now) })));
}

/** What is as it was costs only the time of the request. */
async function writeParcels(
  tx: Tx,
  tracker: Tracker,
  evaluations: readonly Evaluated[],
  now: number,
): Promise<void> {
  if (evaluations.length === 0) return;
  const [same, news] = [evaluations.filter(isAsBefore), evaluations.filter((one) => !isAsBefore(one))];
  const changes = news.flatMap(changeOf);
  const at = new Date(now);
  const [several] = await Promise.all([
    news.length > 0 ? writeNews(tx, tracker, news, now) : [],
    same.length > 0 && TOUCH.run(tx, { ids: idsOf(same), now: at }),
    TOUCH_TRACKED.run(tx, { ids: idsOf(evaluations), now: at }),
    notifyOfChanges(tx, tracker, changes, now),
  ]);
  await setCodesOfSeveral(
    tx,
    several.map(({ order }) => order),
    changes,
  );
}

const idsOf = (some: readonly Evaluated[]) => some.map(({ parcel }) => parcel.id);

async function writeNews(tx: Tx, tracker: Tracker, news: readonly Evaluated[], now: number) {
  const rows = news.map(({ parcel, evaluation }) => {
    const update: Partial<StatusUpdate> = ('update' in evaluation && evaluation.update) || {};
    const unmapped = evaluation.is === 'unmapped' ? evaluation : undefined;
    return {
      id: parcel.id,
      order: parcel.orderId,
      status: update.status ?? parcel.status,
      statusAt: iso(update.at ?? parcel.statusAt),
      statusSeen: update.seen ?? parcel.statusSeen,
      courierStatus: update.courierStatus ?? parcel.courierStatus ?? undefined,
      pickedUpAt: iso(update.pickedUpAt),
      deliveredAt: iso(update.deliveredAt),
      rtoStartedAt: iso(update.rtoStartedAt),
      // a known status ends the wait for a mapping
      unmappedWord: unmapped?.rawStatus ?? (update.status ? undefined : (parcel.unmappedWord ?? undefined)),
      unmappedAt: iso(unmapped?.at),
      unmappedBy: unmapped ? tracker.name : undefined,
      ...(update.changed && update.status
        ? { code: CODES[update.status], changedAt: iso(update.at ?? now) }
        : {}),
    };
  });
  const ended = news.flatMap(({ parcel: { id }, evaluation }) =>
    evaluation.is === 'ended' ? { id, why: evaluation.why } : [],
  );
  const [, several] = await Promise.all([
    lockOrders(
      tx,
      rows.flatMap(({ order, code }) => (code === undefined ? [] : order)),
    ),
    WRITE.run(tx, { now: new Date(now), parcels: textOf(rows) }),
    ...ended.map(({ id, why }) =>
      tx.update(shipments).set({ beingTracked: false, trackingEnded: why }).where(eq(shipments.id, id)),
    ),
  ]);
  return several;
}

/** The row says all that the response does. */
function isAsBefore({ parcel, evaluation }: Evaluated): boolean {
  if (evaluation.is === 'notFound' || evaluation.is === 'mismatched') return true;
  if (evaluation.is !== 'unchanged') return false;
  const { update } = evaluation;
  if (!update) return true;
  return (
    parcel.unmappedWord === null &&
    update.status === parcel.status &&
    update.at === parcel.statusAt &&
    (update.courierStatus ?? parcel.courierStatus) === parcel.courierStatus &&
    (update.seen === parcel.statusSeen || isDeepStrictEqual(update.seen, parcel.statusSeen)) &&
    MILESTONES.every((milestone) => update[milestone] === null || parcel[milestone] !== null)
  );
}
const MILESTONES = ['pickedUpAt', 'deliveredAt', 'rtoStartedAt'] as const;

const iso = (time: number | null | undefined) => (time == null ? undefined : new Date(time).toISOString());
