import { and, ne, sql } from 'drizzle-orm';
import type { Db, Tx } from '../db/client.ts';
import { isAnyOf } from '../db/query.ts';
import { notices } from '../db/schema/index.ts';
import { utc } from '../lib/format-time.ts';
import { plural } from '../lib/plural.ts';
import { storable } from '../lib/storable.ts';

/**
 * Every kind of notice: audience, key, text, remedy, and where the dashboard shows it. A notice is written by
 * `notify`, in the transaction of the change that it reports (C12).
 */

export interface Remedy {
  todo: string;
  /** To paste into a terminal. */
  command?: string;
}

/** For operators: Slack's alert channel or mail, the dashboard and `status`. `D`: its data. */
interface ForOperators<D> {
  audience: 'operators';
  /** action: somebody must act; info: worth knowing. */
  severity: 'action' | 'info';
  /** The id of a store, an order or an endpoint, or a tracker's name. */
  subject?(data: D): string;
  /** Only the first notice with a key is written. Other builds use these keys too: never change them. */
  key(data: D): string;
  text(data: D): string;
  remedy?: Remedy;
  /**
   * rows: the dashboard does not show the notice, but what it reads of the rows that the notice is about, until they
   * are fixed: that must be built as well (src/web/pages/attention.ts). notice: it shows the notice for a day;
   * endpoint: as long as the endpoint is stopped.
   */
  shownFrom: 'rows' | 'notice' | 'endpoint';
}

const forOperators = <D extends object>(kind: Omit<ForOperators<D>, 'audience'>): ForOperators<D> => ({
  audience: 'operators',
  ...kind,
});

/** About a parcel, for the team that handles such parcels: a Slack channel of its own. */
const forChannel = <S extends string>(channel: S, mark: string, one: string, many: string) => ({
  audience: 'channel' as const,
  channel,
  mark,
  one,
  many,
});

interface OfStore {
  storeId: string;
  /** Its name. */
  store: string;
}
interface OfOrder {
  store: string | null;
  orderId: string;
  marketplaceOrderId: string;
}
interface OfTracker {
  tracker: string;
  /** The courier's display name. */
  title: string;
}

/** Of a kind's data only the text and the fields in KEPT are stored. */
export const NOTICES = {
  'store-paused': forOperators<OfStore & { reason: string; once: string }>({
    severity: 'action',
    subject: ({ storeId }) => storeId,
    key: ({ storeId, once }) => `store-paused-${storeId}-${once}`,
    text: ({ reason }) => reason,
    shownFrom: 'rows',
  }),
  'scope-missing': forOperators<OfStore & { api: string; why: string; day: number }>({
    severity: 'action',
    subject: ({ storeId }) => storeId,
    key: ({ storeId, api, day }) => `scope-${storeId}-${api}-${day}`,
    text: ({ api, why }) =>
      `Temu denies this store access to ${api} (${why}): ask your Temu contact to enable it, then authorise the app again; it is retried every hour`,
    shownFrom: 'rows',
  }),
  'seller-must-act': forOperators<OfStore & { code: number | undefined; why: string }>({
    severity: 'action',
    subject: ({ storeId }) => storeId,
    key: ({ storeId, code }) => `seller-must-act-${storeId}-${code}`,
    text: ({ code, why }) => `Temu requires action by the seller (${code}): ${why}`,
    remedy: { todo: 'Complete it in Temu’s seller centre; the orders are then imported automatically.' },
    shownFrom: 'notice',
  }),
  'sync-gap': forOperators<
    OfStore & { windowId: string; from: Date; to: Date; expected: number; seen: number; reads: number }
  >({
    severity: 'info',
    subject: ({ storeId }) => storeId,
    key: ({ windowId }) => `sync-gap-${windowId}`,
    text: ({ from, to, expected, seen, reads }) =>
      `Temu reports ${plural(expected, 'order')} from ${utc(from)} to ${utc(to)}, but returned ${seen.toLocaleString('en')} in ${plural(reads, 'read')}`,
    remedy: {
      todo: 'Syncing the store again usually fetches the missing orders:',
      command: 'orderfleet sync',
    },
    shownFrom: 'notice',
  }),
  'unknown-status': forOperators<OfOrder & { once: string; why: string }>({
    severity: 'info',
    subject: ({ orderId }) => orderId,
    key: ({ once }) => once,
    text: ({ why }) => why,
    remedy: {
      todo: 'These orders stay Incomplete until Temu sets a known status. Report it to the developer.',
    },
    shownFrom: 'notice',
  }),
  'unknown-country': forOperators<OfOrder & { once: string; why: string }>({
    severity: 'info',
    subject: ({ orderId }) => orderId,
    key: ({ once }) => once,
    text: ({ why }) => why,
    remedy: {
      todo: 'The orders keep the country’s name without a code. If a label needs one, enter it in the order.',
    },
    shownFrom: 'notice',
  }),
  'awb-without-order': forOperators<{ event: string; why: string }>({
    severity: 'action',
    key: ({ event }) => `awb-without-order ${event}`,
    text: ({ event, why }) => `AWB event "${event}" has had no matching order for a day: ${why}`,
    shownFrom: 'rows',
  }),
  'awb-not-sent': forOperators<OfOrder & { once: string; why: string }>({
    severity: 'action',
    subject: ({ orderId }) => orderId,
    key: ({ once }) => `awb-not-sent-${once}`,
    text: ({ marketplaceOrderId, why }) => `AWB of order ${marketplaceOrderId} was not sent to Temu: ${why}`,
    shownFrom: 'rows',
  }),
  'awb-number': forOperators<OfOrder & { awbNumber: string; why: string }>({
    severity: 'info',
    subject: ({ orderId }) => orderId,
    key: ({ orderId, awbNumber }) => `awb-number-${orderId}-${awbNumber}`,
    text: ({ marketplaceOrderId, why }) => `order ${marketplaceOrderId}: ${why}. It is used as it is`,
    remedy: {
      todo: 'Check the number and the carrier in the shipping app. If one of them is wrong, send the event again with the right ones.',
    },
    shownFrom: 'notice',
  }),
  'awb-at-risk': forOperators<OfOrder & { shipBy: Date; why: string | null }>({
    severity: 'action',
    subject: ({ orderId }) => orderId,
    key: ({ orderId }) => `awb-at-risk-${orderId}`,
    text: ({ marketplaceOrderId, shipBy, why }) =>
      `order ${marketplaceOrderId} must ship by ${shipBy.toISOString().slice(0, 16).replace('T', ' ')} UTC and has no AWB on Temu${why === null ? '' : `: ${why}`}`,
    shownFrom: 'rows',
  }),
  'tracker-stopped': forOperators<
    OfTracker & { why: string; once: string } & ({ settings: string } | { waits: number })
  >({
    severity: 'action',
    subject: ({ tracker }) => tracker,
    key: ({ once }) => once,
    text: ({ tracker, title, why, ...how }) =>
      'waits' in how
        ? `Requests to ${title} were paused ${how.waits} times in a row (${why}): it may be blocking our key or IP address`
        : `${title} rejects our credentials (${why}): its parcels are not tracked. Check ${how.settings}, restart the workers, then: orderfleet track ${tracker}`,
    shownFrom: 'rows',
  }),
  'unmapped-status': forOperators<OfTracker & { word: string }>({
    severity: 'action',
    subject: ({ tracker }) => tracker,
    key: ({ tracker, word }) => `unmapped-status ${tracker} ${word}`,
    text: ({ tracker, title, word }) =>
      `${title} returned the unmapped status "${word}": parcels with it keep their previous status until you map it: orderfleet words map ${tracker} "${word}" STATUS`,
    shownFrom: 'rows',
  }),
  'mail-refused': forOperators<{ to: string; host: string; why: string }>({
    severity: 'info',
    key: ({ to }) => `mail-refused ${to}`,
    text: ({ to, host, why }) =>
      `${host} rejects mail for ${to} (${why}): correct EMAIL_RECIPIENTS, or fix that mailbox`,
    remedy: {
      todo: 'Correct the address in EMAIL_RECIPIENTS, or fix its mailbox. Missed mails are not sent again.',
    },
    shownFrom: 'notice',
  }),
  'webhook-stopped': forOperators<{ endpointId: string; url: string; once: string }>({
    severity: 'action',
    subject: ({ endpointId }) => endpointId,
    key: ({ endpointId, once }) => `webhook-stopped-${endpointId}-${once}`,
    text: ({ url }) =>
      `the webhook endpoint ${url} returned HTTP 410 (Gone) and gets no more events; to resume it: orderfleet webhooks resume ${url}`,
    remedy: { todo: 'Once the receiver is fixed:', command: 'orderfleet webhooks resume URL' },
    shownFrom: 'endpoint',
  }),
  booking_cancelled: forChannel(
    'BOOKING_CANCELED_CHANNEL_ID',
    '🚫',
    'Booking cancelled',
    'bookings cancelled',
  ),
  lost: forChannel('LOST_DESTROY_SLACK_CHANNEL_ID', '🔎', 'Parcel lost', 'parcels lost'),
  destroyed: forChannel('LOST_DESTROY_SLACK_CHANNEL_ID', '💥', 'Parcel destroyed', 'parcels destroyed'),
  'b2b-delivered': forChannel(
    'B2B_DELIVERED_CHANNEL_ID',
    '📦',
    'B2B parcel delivered on its booking day',
    'B2B parcels delivered on their booking day',
  ),
  /** A run's report, by mail (C13). */
  'tracking-report': { audience: 'report' },
  /** A mail not yet accepted for one address (alerts/recipients.ts). */
  mail: { audience: 'mail' },
  /** For webhook endpoints (C12). */
  'order.rto': { audience: 'endpoints' },
  'shipment.updated': { audience: 'endpoints' },
} as const;

export type NoticeKind = keyof typeof NOTICES;
type Register = typeof NOTICES;
/** Kinds for one audience. */
export type KindFor<A extends Register[NoticeKind]['audience']> = {
  [K in NoticeKind]: Register[K]['audience'] extends A ? K : never;
}[NoticeKind];
type DataOf<K extends KindFor<'operators'>> = Register[K] extends ForOperators<infer D> ? D & object : never;

export const kindsFor = <A extends Register[NoticeKind]['audience']>(audience: A): KindFor<A>[] =>
  (Object.keys(NOTICES) as NoticeKind[]).filter(
    (kind): kind is KindFor<A> => NOTICES[kind].audience === audience,
  );

/** Kinds that the dashboard derives from rows. */
export const SHOWN_FROM_ROWS: readonly string[] = kindsFor('operators').filter(
  (kind) => NOTICES[kind].shownFrom === 'rows',
);

/** Not stored: a count of notices that could not be delivered. */
export const DELIVERY_FAILED = {
  kind: 'delivery-failed',
  severity: 'info',
  remedy: {
    todo: 'The recipients did not get it. Fix the address or the receiver, then retry:',
    command: 'orderfleet webhooks retry --failed',
  },
} as const;

/** The definition of a row's kind; undefined for a kind of another build. */
export const noticeFor = (kind: string): ForOperators<never> | undefined => {
  const found = (NOTICES as Record<string, Register[NoticeKind]>)[kind];
  return found?.audience === 'operators' ? (found as ForOperators<never>) : undefined;
};

/** Data that is stored besides the text, for those who read the notice's row; other fields are dropped. */
const KEPT = ['store', 'orderId', 'marketplaceOrderId', 'tracker', 'title', 'word'];

/** The row of a notice. Its text is fixed here, whichever build delivers it. */
export function noticeOf<K extends KindFor<'operators'>>(kind: K, data: DataOf<K>) {
  const { subject, key, text } = NOTICES[kind] as unknown as ForOperators<DataOf<K>>;
  const kept = Object.entries(data).filter(([name, value]) => KEPT.includes(name) && value !== null);
  return {
    kind,
    key: key(data),
    subject: subject?.(data) ?? null,
    payload: { ...Object.fromEntries(kept), text: storable(text(data)) } as Record<string, unknown>,
  };
}

/** Notifies operators, once per key. @param db the transaction of the change @returns how many were new */
export async function notify<K extends KindFor<'operators'>>(
  db: Db | Tx,
  kind: K,
  ...all: readonly DataOf<K>[]
): Promise<number> {
  if (all.length === 0) return 0;
  const { count } = await db
    .insert(notices)
    .values(all.map((data) => noticeOf(kind, data)))
    .onConflictDoNothing({ target: notices.key });
  return count;
}

/**
 * Withdraws the notices of these subjects: they are no longer delivered or shown. The kind must be in the predicate of
 * the index `notices_subject` (src/db/schema/notices.ts), and a literal in the call: a test compares the two.
 */
export const withdraw = (db: Db | Tx, kind: KindFor<'operators'>, subjects: readonly string[]) =>
  db
    .update(notices)
    .set({ state: 'withdrawn', claim: null })
    .where(
      and(
        sql`${notices.kind} = ${sql.raw(`'${kind}'`)}`, // a literal: the index of subjects is a partial one
        isAnyOf(notices.subject, subjects),
        ne(notices.state, 'withdrawn'),
      ),
    );
