import type { TransactionSql } from 'postgres';
import type { Tracker } from './catalogue.ts';
import { tellOfChanges } from './consequences.ts';
import type { Item } from './courier.ts';
import { judge, type News, type Parcel, type Rulings, type Verdict } from './judge.ts';
import { type Counts, NO_COUNTS } from './runs.ts';
import { isFinal, STATUSES, type Status } from './status.ts';
import { noteUnmapped, rulingsOf } from './unmapped.ts';

/** The parcels of a batch, locked in the order of their ids until the transaction ends. */
export async function lockParcels(
  sql: TransactionSql,
  tracker: Tracker,
  ids: readonly string[],
): Promise<Parcel[]> {
  const number = tracker.courier.selection.number === 'lr' ? sql`s.lr_number` : sql`s.awb_number`;
  const rows = await sql<
    (Omit<Parcel, 'bookedAt' | 'statusAt'> & { bookedAt: Date; statusAt: Date | null })[]
  >`
    select s.id, s.order_id as "orderId", btrim(coalesce(${number}, '')) as number,
      o.marketplace_order_id as "orderNumber", o.source, s.booked_at as "bookedAt", s.status,
      s.status_at as "statusAt", s.status_seen as "statusSeen", s.courier_status as "courierStatus",
      s.unmapped_word as "unmappedWord"
    from shipments s join orders o on o.id = s.order_id
    where s.id = any(${ids as string[]}::uuid[]) order by s.id for update of s`;
  return rows.map((row) => ({
    ...row,
    status: STATUSES.includes(row.status) ? row.status : 'pending', // another program's word is no word of ours
    bookedAt: row.bookedAt.getTime(),
    statusAt: row.statusAt?.getTime() ?? null,
  }));
}

export interface Applied {
  counts: Counts;
  /** Unmapped words with their counts. */
  words: Record<string, number>;
  /** Parcels that left a final status by one of C7's exceptions. */
  reopened: { number: string; from: Status; to: Status }[];
}

/**
 * Writes what an answer says of parcels (C4–C9): one statement for all of them, one for their history, one for their
 * orders, and the notices of what changed (C12), in the caller's transaction.
 * @param items by the parcel's number
 */
export async function applyAnswer(
  sql: TransactionSql,
  tracker: Tracker,
  parcels: readonly Parcel[],
  items: ReadonlyMap<string, Item>,
  now: number,
): Promise<Applied> {
  const unknown = [...items.values()].some((item) => item.is === 'scan' && item.means === undefined);
  const rulings: Rulings = unknown ? await rulingsOf(sql, tracker.name) : new Map();
  const verdicts = parcels.map((parcel) => ({
    parcel,
    verdict: judge(parcel, items.get(parcel.number), now, rulings),
  }));
  await writeParcels(sql, tracker, verdicts, now);
  await tellOfChanges(sql, tracker, verdicts.flatMap(changeOf), now);
  const words = await noteUnmapped(sql, tracker, verdicts.flatMap(strangeOf), now);
  const counts = { ...NO_COUNTS };
  for (const { verdict } of verdicts) counts[verdict.is === 'ended' ? 'notFound' : verdict.is]++;
  const reopened = verdicts.flatMap(({ parcel, verdict }) =>
    'news' in verdict && verdict.news?.changed && isFinal(parcel.status)
      ? [{ number: parcel.number, from: parcel.status, to: verdict.news.status }]
      : [],
  );
  return { counts, words, reopened };
}

type Judged = { parcel: Parcel; verdict: Verdict };

const changeOf = ({ parcel, verdict }: Judged) =>
  'news' in verdict && verdict.news?.changed ? [{ parcel, news: verdict.news }] : [];
const strangeOf = ({ parcel, verdict }: Judged) =>
  verdict.is === 'unmapped' ? [{ parcel, word: verdict.word, scan: verdict.scan }] : [];

/** C6: whatever became of it, a parcel was asked for now: so none starves the others. */
async function writeParcels(
  sql: TransactionSql,
  tracker: Tracker,
  verdicts: readonly Judged[],
  now: number,
): Promise<void> {
  const rows = verdicts.map(({ parcel, verdict }) => {
    const news: Partial<News> = ('news' in verdict && verdict.news) || {};
    const strange = verdict.is === 'unmapped' ? verdict : undefined;
    return {
      id: parcel.id,
      status: news.status ?? parcel.status,
      status_at: iso(news.at ?? parcel.statusAt),
      status_seen: news.seen ?? parcel.statusSeen,
      courier_status: news.courierStatus ?? parcel.courierStatus,
      // C7: the first time of each status stays
      first_time: news.changed ? { [news.status as Status]: iso(news.at ?? now) } : {},
      picked_up_at: iso(news.pickedUpAt),
      delivered_at: iso(news.deliveredAt),
      rto_started_at: iso(news.rtoStartedAt),
      // a word that is understood ends the wait for a mapping
      unmapped_word: strange?.word ?? (news.status ? null : parcel.unmappedWord),
      unmapped_at: iso(strange?.at),
      unmapped_by: strange ? tracker.name : null,
      ended: verdict.is === 'ended' ? verdict.why : null,
    };
  });
  await sql`
    update shipments s set last_tracked_at = ${new Date(now)}, status = n.status, status_at = n.status_at,
      status_seen = n.status_seen, courier_status = n.courier_status, status_times = n.first_time || s.status_times,
      picked_up_at = coalesce(s.picked_up_at, n.picked_up_at),
      delivered_at = coalesce(s.delivered_at, n.delivered_at),
      rto_started_at = coalesce(s.rto_started_at, n.rto_started_at),
      unmapped_word = n.unmapped_word, unmapped_by = coalesce(n.unmapped_by, s.unmapped_by), unmapped_at = case when n.unmapped_by is not null then n.unmapped_at when n.unmapped_word is not null then s.unmapped_at end,
      being_tracked = case when n.ended is null then s.being_tracked else false end,
      tracking_ended = coalesce(n.ended, s.tracking_ended)
    from jsonb_to_recordset(${sql.json(rows as never)}) as n(id uuid, status text, status_at timestamptz,
      status_seen jsonb, courier_status text, first_time jsonb, picked_up_at timestamptz, delivered_at timestamptz,
      rto_started_at timestamptz, unmapped_by text, unmapped_word text, unmapped_at timestamptz, ended text)
    where s.id = n.id`;
}

const iso = (time: number | null | undefined) => (time == null ? null : new Date(time).toISOString());
