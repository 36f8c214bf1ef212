import type { Db } from '../db/client.ts';
import { type Tracker, whyOff } from './catalogue.ts';
import { isFinal, STATUSES, type Status } from './status.ts';

const DAY_MS = 86_400_000;
/** Parcels told of at most: a number is one parcel's, an order's are a few. */
const MOST = 50;

/** A parcel on its way, for `explain` of its AWB, its LR number or its order. */
export interface TrackingStory {
  awbNumber: string | null;
  lrNumber: string | null;
  order: string;
  source: string;
  bookingCourier: string;
  bookedAt: Date;
  status: string;
  /** Since when, by the courier's clock. */
  statusAt: Date | null;
  courierStatus: string | null;
  /** The tracker that asks for it; null: nobody. */
  tracker: string | null;
  /** Why that one, or why nobody, and what comes next. */
  because: string;
  lastAskedAt: Date | null;
  /** When it may be asked for next; null: never. */
  nextRunAt: Date | null;
  /** C6: what it showed last, while nobody knows what it means. */
  unmapped: { word: string; at: Date | null } | null;
  /** C7: its changes, oldest first. */
  events: { status: string; courierStatus: string | null; occurredAt: Date; recordedAt: Date }[];
  /** Other parcels of its order. */
  siblings: {
    number: string;
    status: string;
    bookedAt: Date;
    /** `split`: beside it; `before` and `after`: the order was booked again. */
    is: 'split' | 'before' | 'after';
  }[];
}

interface Candidate {
  name: string;
  enabled: boolean;
  courier: boolean;
  source: boolean;
  number: boolean;
  wants: 'awb' | 'lr' | 'any-awb';
}

interface StoryRow extends Omit<TrackingStory, 'because' | 'nextRunAt' | 'unmapped'> {
  beingTracked: boolean | null;
  ended: string | null;
  orderStatus: number;
  orderStatusName: string | null;
  trackable: boolean | null;
  unmappedWord: string | null;
  unmappedAt: Date | null;
  nextRunAt: Date | null;
  waitingUntil: Date | null;
  waitingReason: string | null;
  stoppedReason: string | null;
  /** The trackers' rules, taken apart, in the order in which they choose. */
  candidates: Candidate[];
}

interface Rules {
  trackers: readonly Tracker[];
  /** C2. */
  bufferDays: number;
  /** Epoch milliseconds. */
  now: number;
}

/** Parcels with this AWB or LR number, and those of an order with this number, the first booked first. */
export const trackingStories = async (db: Db, number: string, rules: Rules): Promise<TrackingStory[]> =>
  (await readStories(db, number)).map((row) => tell(row, rules));

const readStories = async ({ $client: sql }: Db, number: string) =>
  await sql<StoryRow[]>`
  with found as (
    select id from shipments where awb_number = ${number}
    union select id from shipments where lr_number = ${number}
    union select s.id from orders o join shipments s on s.order_id = o.id where o.marketplace_order_id = ${number}
    limit ${MOST})
  select s.awb_number as "awbNumber", s.lr_number as "lrNumber", o.marketplace_order_id as order, o.source,
    s.booking_courier as "bookingCourier", s.booked_at as "bookedAt", s.status, s.status_at as "statusAt",
    s.courier_status as "courierStatus", s.tracked_by as tracker, s.last_tracked_at as "lastAskedAt",
    s.being_tracked as "beingTracked", s.tracking_ended as ended, o.order_status as "orderStatus",
    c.name as "orderStatusName", c.trackable, s.unmapped_word as "unmappedWord", s.unmapped_at as "unmappedAt",
    t.next_run_at as "nextRunAt", t.waiting_until as "waitingUntil", t.waiting_reason as "waitingReason",
    t.stopped_reason as "stoppedReason",
    (select coalesce(jsonb_agg(jsonb_build_object('status', e.status, 'courierStatus', e.courier_status,
        'occurredAt', e.occurred_at, 'recordedAt', e.recorded_at) order by e.recorded_at, e.occurred_at), '[]')
      from shipment_events e where e.shipment_id = s.id) as events,
    (select coalesce(jsonb_agg(jsonb_build_object('number', coalesce(x.awb_number, x.lr_number), 'status', x.status,
        'bookedAt', x.booked_at, 'is', case when x.items is not null and s.items is not null then 'split'
          when (x.booked_at, x.created_at, x.id) > (s.booked_at, s.created_at, s.id) then 'after' else 'before' end)
        order by x.booked_at, x.created_at, x.id), '[]')
      from shipments x where x.order_id = s.order_id and x.id <> s.id) as siblings,
    (select coalesce(jsonb_agg(jsonb_build_object('name', r.name, 'enabled', r.enabled,
        'courier', strpos(lower(s.booking_courier), lower(r.courier)) > 0,
        'source', r.sources = 'all'
          or (r.sources = 'primary') = (o.source in ('shopify', 'woocommerce', 'Outbound', 'other', 'Retailer')),
        'number', coalesce(case r.number when 'lr' then btrim(s.lr_number) <> ''
          when 'awb' then btrim(s.awb_number) <> '' and coalesce(btrim(s.lr_number), '') = ''
          else btrim(s.awb_number) <> '' end, false),
        'wants', r.number) order by r.precedence, r.name), '[]')
      from trackers r) as candidates
  from found join shipments s using (id) join orders o on o.id = s.order_id
    left join order_statuses c on c.code = o.order_status left join trackers t on t.name = s.tracked_by
  order by s.booked_at, s.created_at, s.id`;

function tell(row: StoryRow, rules: Rules): TrackingStory {
  const asked = row.tracker !== null && !tooOld(row, rules);
  return {
    ...{ awbNumber: row.awbNumber, lrNumber: row.lrNumber, order: row.order, source: row.source },
    ...{ bookingCourier: row.bookingCourier, bookedAt: row.bookedAt },
    ...{ status: row.status, statusAt: row.statusAt, courierStatus: row.courierStatus },
    tracker: row.tracker,
    because: row.tracker ? whyFollowed(row, row.tracker, rules) : whyNobody(row, rules),
    lastAskedAt: row.lastAskedAt,
    nextRunAt: asked ? row.nextRunAt : null,
    unmapped: row.unmappedWord === null ? null : { word: row.unmappedWord, at: row.unmappedAt },
    // JSON has no times
    events: row.events.map((event) => ({
      ...event,
      occurredAt: new Date(event.occurredAt),
      recordedAt: new Date(event.recordedAt),
    })),
    siblings: row.siblings.map((one) => ({ ...one, bookedAt: new Date(one.bookedAt) })),
  };
}

const tooOld = ({ bookedAt }: StoryRow, { bufferDays, now }: Rules) =>
  now - bookedAt.getTime() >= bufferDays * DAY_MS;

const WANTS: Record<Candidate['wants'], string> = {
  awb: 'an AWB and no LR number',
  lr: 'an LR number',
  'any-awb': 'an AWB',
};

/** C2, C6, C10, C11: why this tracker, and what holds it up. */
function whyFollowed(row: StoryRow, tracker: string, rules: Rules): string {
  const wants = row.candidates.find(({ name }) => name === tracker)?.wants ?? 'awb';
  const sentences = [
    `${tracker} asks for it: it is booked with "${row.bookingCourier}", its order is from ${row.source}, and it has ${WANTS[wants]}.`,
  ];
  if (tooOld(row, rules))
    return `${sentences[0]} But it was booked more than ${rules.bufferDays} days ago, so that nobody does any more.`;
  if (row.stoppedReason)
    sentences.push(`The courier refuses our credentials: ${row.stoppedReason} (orderfleet status).`);
  if (row.waitingUntil && row.waitingUntil.getTime() > rules.now)
    sentences.push(
      `The courier told us to wait until ${row.waitingUntil.toISOString()} (${row.waitingReason}).`,
    );
  if (row.unmappedWord !== null)
    sentences.push(
      `It shows the word "${row.unmappedWord}", which no table has, and keeps its status until somebody settles what it means: orderfleet words map ${tracker} "${row.unmappedWord}" STATUS.`,
    );
  return sentences.join(' ');
}

/** The first rule of C2 that it fails. */
function whyNobody(row: StoryRow, { trackers }: Rules): string {
  const nobody = 'Nobody asks for it';
  if (row.ended) return `${nobody} any more: ${row.ended}.`;
  if (row.beingTracked === false) return `${nobody}: its being_tracked is false.`;
  if (isFinal(row.status as Status) && STATUSES.includes(row.status as Status) && !row.trackable)
    return `${nobody} any more: it has come to its end.`;
  if (!row.trackable)
    return `${nobody}: its order has the status ${row.orderStatus} (${row.orderStatusName ?? 'unknown'}), and parcels of such orders are not tracked.`;
  if (row.candidates.length === 0)
    return `${nobody}: no tracker is set up yet; the scheduler does it as it starts.`;
  const ofCourier = row.candidates.filter(({ courier }) => courier);
  const couriers = [...new Set(trackers.map(({ courier }) => courier.selection.courier))].sort();
  if (ofCourier.length === 0)
    return `${nobody}: no tracker is for parcels booked with "${row.bookingCourier}"; there are some for ${couriers.join(', ')}.`;
  const fits = ofCourier.find(({ source, number }) => source && number);
  if (fits?.enabled) return `${nobody} yet: ${fits.name} takes it up when the scheduler starts next.`;
  if (fits) {
    const tracker = trackers.find(({ name }) => name === fits.name);
    const off = tracker && whyOff(tracker);
    return `${nobody}: ${fits.name} would, but is off${off ? ` (${off})` : ''}.`;
  }
  const ofSource = ofCourier.filter(({ source }) => source);
  if (ofSource.length === 0)
    return `${nobody}: ${ofCourier.map(({ name }) => name).join(' and ')} ${ofCourier.length === 1 ? 'does' : 'do'} not track orders from ${row.source}.`;
  return `${nobody}: ${ofSource.map(({ name, wants }) => `${name} wants ${WANTS[wants]}`).join(', ')}.`;
}
