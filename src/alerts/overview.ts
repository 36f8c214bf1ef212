import type { Db } from '../db/client.ts';
import { MACHINE_KINDS } from './routes.ts';

export interface OpenNotice {
  kind: string;
  since: Date;
  text: string;
  /** Of whose story it is a part, by its number; null: of none. */
  order: string | null;
}

/** Notices older than this are no longer shown. */
const SHOWN_MS = 7 * 86_400_000;

/**
 * What waits for a person, newest first: notices of the last seven days that are for people, whether they were
 * delivered or not, unless they were withdrawn or the store they speak of goes on again; deliveries that were given up,
 * counted by what they were and where they went; and endpoints that are told nothing, for as long as that is so.
 * @param limit of notices
 * @param without kinds of notices that the reader sees elsewhere
 */
export async function openNotices(
  db: Db,
  limit = 20,
  nowMs = Date.now(),
  without: readonly string[] = [],
): Promise<OpenNotice[]> {
  const since = new Date(nowMs - SHOWN_MS);
  const machine = [...MACHINE_KINDS];
  // an endpoint's own row says whether it is still stopped
  const others = [...machine, ...without, 'webhook-stopped'];
  return await db.$client<OpenNotice[]>`
    (select kind, created_at as since,
        coalesce(case when payload ? 'store' then payload->>'store' || ': ' else '' end
          || coalesce(payload->>'reason', payload->>'text'), kind)
          || case when state = 'failed' then ' (nobody could be told: ' || coalesce(error, 'unknown') || ')' else '' end as text,
        payload->>'marketplaceOrderId' as order
      from notices n
      where created_at > ${since} and state <> 'withdrawn' and kind <> all(${others}) and not payload ? 'endpointId'
        and not (kind = 'store-paused' and exists (
          select from temu_stores s where s.active and s.id::text = n.subject))
      order by created_at desc limit ${limit})
    union all
    (select 'delivery-failed', max(n.created_at),
        count(*) || ' × ' || n.kind || coalesce(' to ' || max(e.url), '') || ' could not be delivered: '
          || (array_agg(coalesce(n.error, 'unknown') order by n.created_at desc))[1]
          || case when n.payload ? 'endpointId' then '; orderfleet webhooks failed' else '' end, null
      from notices n left join webhook_endpoints e on e.id::text = n.payload->>'endpointId'
      where n.created_at > ${since} and n.state = 'failed' and (n.kind = any(${machine}) or n.payload ? 'endpointId')
      group by n.kind, n.payload->>'endpointId', n.payload ? 'endpointId')
    union all
    -- since when is in the notice of it; without one of these days it is longer ago
    (select 'webhook-stopped', coalesce((select max(n.created_at) from notices n where n.created_at > ${since}
          and n.kind = 'webhook-stopped' and n.subject = e.id::text), ${since}),
        'the webhook endpoint ' || e.url || ' is told nothing any more: it answered HTTP 410 (Gone); if that is a mistake: orderfleet webhooks resume ' || e.url,
        null
      from webhook_endpoints e where not e.active)
    order by since desc`;
}

export interface DeliveryOverview {
  /** Of the last day. */
  sent: number;
  waiting: number;
  /** Given up within the last day: they were written a day of tries earlier. */
  failed: number;
  /** Why notices had nowhere to go, with how many. */
  nowhere: Record<string, number>;
}

/** How the delivery of notices goes. */
export async function deliveryOverview(db: Db, nowMs = Date.now()): Promise<DeliveryOverview> {
  const [row] = await db.$client<DeliveryOverview[]>`
    with recent as (select state, error from notices where created_at > ${new Date(nowMs - 86_400_000)})
    select count(*) filter (where state = 'sent')::int as sent, count(*) filter (where state = 'pending')::int as waiting,
      (select count(*)::int from notices where state = 'failed' and due_at > ${new Date(nowMs - 86_400_000)}) as failed,
      coalesce((select jsonb_object_agg(error, n) from (
        select error, count(*)::int as n from recent where state = 'withdrawn' and error is not null group by error) e), '{}')
        as nowhere
    from recent`;
  return row ?? { sent: 0, waiting: 0, failed: 0, nowhere: {} };
}
