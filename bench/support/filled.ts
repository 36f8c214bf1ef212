import type { Sql } from 'postgres';
import { tidy } from './tables.ts';

const PARCELS_AN_ORDER = 3;
/** How long an order is on its way. */
const OPEN_DAYS = 6;

export interface FillOptions {
  stores?: number;
  /** Ids of orders and parcels in no order, as the fleet makes them: their indexes are larger, and slower to fill. */
  scattered?: boolean;
}

/** What its rows are like, in SQL: `n` is the order's number, the newest one has the highest. */
const row = (orders: number, open: number, { stores = 4, scattered = false }: FillOptions) => ({
  order: scattered ? `md5('order ' || n)::uuid` : `lpad(to_hex(n), 32, '0')::uuid`,
  parcel: scattered ? `md5('parcel ' || p)::uuid` : `('1' || lpad(to_hex(p), 31, '0'))::uuid`,
  run: `('4' || lpad(to_hex(r), 31, '0'))::uuid`,
  store: `('2' || lpad(to_hex(n % ${stores}), 31, '0'))::uuid`,
  isTemu: `n % 5 < 4`,
  isOpen: `n > ${orders - open}`,
  at: `now() - (${orders} - n) * interval '${OPEN_DAYS} days' / ${open}`,
});

/**
 * Fills a migrated, empty database with what some years of trade leave: orders of some stores and of other channels, three
 * parcels each, and in proportion their lines, history, pushes, events, notices, runs, windows and samples. Orders of
 * the last 90 days have buyers. Nothing is due on this day.
 * @param open how many of them are on their way: the newest ones
 */
export async function fill(sql: Sql, orders: number, open: number, options: FillOptions = {}): Promise<void> {
  const { stores = 4 } = options;
  const its = row(orders, open, options);
  const each = `from generate_series(1, ${orders}) n`;
  // from the oldest to the newest, as they would have been written
  const eachParcel = `${each}, generate_series(n * ${PARCELS_AN_ORDER}, n * ${PARCELS_AN_ORDER} + ${PARCELS_AN_ORDER - 1}) p`;
  const run = (text: string) => sql.unsafe(text);
  // the triggers' work is done by hand here: three million single look-ups would take half an hour
  await run('set session_replication_role = replica; set synchronous_commit = off');
  await run(`
    insert into temu_stores (id, name, region, country, app_key, app_secret, access_token, last_synced_at, next_sync_at)
    select ${its.store}, 'store-' || n, 'EU', 'RO', 'key-' || n, '', '', now(), now() + interval '1 day' from generate_series(0, ${stores - 1}) n`);
  await run(`
    insert into trackers (name, title, enabled, courier, sources, number, precedence, next_run_at) values
      ('fan-courier', 'FAN Courier', true, 'fan', 'all', 'any-awb', 50, now() + interval '1 day'),
      ('delhivery-b2c', 'Delhivery B2C', true, 'delhivery', 'primary', 'awb', 20, now() + interval '1 day')`);
  await run(`
    insert into orders (id, source, store_id, marketplace_order_id, status, marketplace_status, order_status,
      order_created_at, order_modified_at, ship_by_date, order_total_amount, order_currency, created_at, updated_at,
      buyer_mail, shipping_buyer_name, shipping_phone, shipping_street1, shipping_city, shipping_country_code, shipping_postal_code)
    select ${its.order}, case when ${its.isTemu} then 'temu' else 'shopify' end, case when ${its.isTemu} then ${its.store} end,
      case when ${its.isTemu} then 'PO-076-' else 'ORD-' end || n,
      case when not ${its.isOpen} then case when n % 12 = 0 then 'Cancelled' when n % 5000 = 1 then 'Ready for Shipping' else 'Shipped' end
        when n % 97 = 0 then 'Incomplete' else (array['Pending', 'Cancelled', 'Ready for Shipping', 'Ready for Shipping', 'Ready for Shipping',
          'Partially Shipped', 'Shipped', 'Shipped', 'Shipped', 'Shipped'])[1 + n % 10] end,
      'SHIPPED', case when ${its.isOpen} then 8 else 10 end,
      ${its.at}, ${its.at}, ${its.at} + interval '3 days', 10 + n % 90, 'RON', ${its.at}, ${its.at},
      b.name || '@example.org', b.name, '+40 700 ' || n, 'Street ' || n, 'Cluj', 'RO', '400' || n % 1000
    ${each} left join lateral (select 'Buyer ' || n as name where ${its.at} > now() - interval '90 days') b on true`);
  await run(`
    insert into temu_orders (order_id, region_id, tracking_sent_to_temu, tracking_sent_at)
    select ${its.order}, 186, not (${its.isOpen} and n % 10 in (0, 2, 3)), ${its.at} ${each} where ${its.isTemu}`);
  await run(`
    insert into products_in_order (id, order_id, item_order_line_id, channel_item_id, item_title, item_transaction_id, sku, quantity, item_price)
    select ${its.order}, ${its.order}, n || '-10.00', n % 5000, 'Article ' || n % 5000, n % 5000, 'SKU-' || n % 5000, 1, 10 ${each}`);
  await run(`
    insert into order_item_lines (id, order_id, product_in_order_id, marketplace_order_item_id, quantity)
    select ${its.order}, ${its.order}, ${its.order}, n, 1 ${each}`);
  await run(`
    insert into order_errors (order_id, type, message, created_at, resolved_at)
    select ${its.order}, 'sku', 'no SKU for Temu SKU ' || n % 50, ${its.at}, case when not ${its.isOpen} then ${its.at} end
    ${each} where ${its.isTemu} and (n % 97 = 0 or (n % 4 = 0 and not ${its.isOpen}))`);
  await run(`
    insert into shipments (id, order_id, awb_number, lr_number, booking_courier, booked_at, tracked_by, tracking_ended, status, status_at,
      last_tracked_at, picked_up_at, delivered_at, created_at)
    select ${its.parcel}, ${its.order}, 'AWB' || p, case when n % 50 = 1 then 'LR' || p end,
      c.booked, ${its.at}, case when ${its.isOpen} then c.tracker end, case when not ${its.isOpen} and n % 40 = 0 then 'no final status' end,
      case when ${its.isOpen} then (array['pending', 'in_transit', 'in_transit', 'out_for_delivery'])[1 + n % 4]
        when n % 25 = 0 then 'rto' else 'delivered' end, ${its.at},
      case when not ${its.isOpen} then ${its.at} when n % 30 > 0 then now() - (n % 600) * interval '1 second' end,
      ${its.at}, case when not ${its.isOpen} and n % 25 > 0 then ${its.at} end, ${its.at}
    ${eachParcel}, lateral (select case when n % 50 = 0 then 'Speedy' when ${its.isTemu} then 'fancourier' else 'Delhivery' end as booked,
      case when n % 50 = 0 then null when ${its.isTemu} then 'fan-courier' else 'delhivery-b2c' end as tracker) c`);
  await run(`
    insert into tracked_parcels (shipment_id, tracker, booked_at, last_tracked_at)
    select id, tracked_by, booked_at, last_tracked_at from shipments where tracked_by is not null`);
  await run(`
    insert into shipment_events (shipment_id, status, courier_status, occurred_at, recorded_at)
    select ${its.parcel}, (array['picked_up', 'in_transit', 'out_for_delivery', 'delivered'])[1 + e % 4], 'Scan ' || e % 4, ${its.at}, ${its.at}
    ${eachParcel}, generate_series(p * 4, p * 4 + 3) e where not ${its.isOpen} or n % 4 > e % 4`);
  await run(`
    insert into temu_pushes (id, shipment_id, order_id, state, attempts, error, sent_at, due_at, created_at, unmatched_carrier)
    select ${its.parcel}, ${its.parcel}, ${its.order}, s.state, 1, case when s.state in ('parked', 'rejected') then 'no carrier of that name' end,
      case when s.state = 'sent' then ${its.at} end, case when s.state in ('pending', 'unknown') then now() + interval '1 day' else ${its.at} end, ${its.at}, null
    ${eachParcel}, lateral (select case when ${its.isOpen} then
        (array['pending', 'unknown', 'parked', 'rejected'])[case when n % 10 in (2, 3) and n % 8 < 4 then 1 + n % 8 else null end] end) open(state),
      lateral (select coalesce(open.state, case when n % 3000 = 1 then 'rejected' else 'sent' end)) s(state) where ${its.isTemu}`);
  await run(`
    insert into temu_order_inbox (store_id, parent_order_sn, update_time, payload, state, error, incomplete_since, due_at, received_at)
    select ${its.store}, 'PO-076-' || n, ${its.at}, jsonb_build_object('parentOrderSn', 'PO-076-' || n, 'status', 4),
      s.state, case when s.state <> 'stored' then 'no price yet' end, case when s.state = 'incomplete' then ${its.at} end,
      case when s.state = 'stored' then ${its.at} else now() + interval '1 day' end, ${its.at}
    ${each}, lateral (select case when n % 2000 = 3 then 'failed' when ${its.isOpen} and n % 97 = 0 then 'incomplete'
      when ${its.isOpen} and n % 97 = 1 then 'pending' else 'stored' end) s(state) where ${its.isTemu}`);
  await run(`
    insert into awb_events (key, payload, state, error, received_at, due_at)
    select 'temu PO-076-' || n || ' ' || p, jsonb_build_object('v', 1, 'source', 'temu', 'marketplaceOrderId', 'PO-076-' || n,
        'awbNumber', 'AWB' || p), s.state, case when s.state = 'parked' then 'no order of that number' end, ${its.at}, now() + interval '1 day'
    ${eachParcel}, lateral (select case when n % 4000 = 3 then 'parked' when ${its.isOpen} and n % 400 = 2 then 'waiting' else 'recorded' end) s(state)
    where ${its.isTemu}`);
  await run(`
    insert into notices (kind, key, subject, payload, state, attempts, error, due_at, created_at, sent_at)
    select case when n % 500 = 0 then 'order-failed' else 'parcel-rto' end, 'notice ' || n, ${its.order}::text,
      jsonb_build_object('marketplaceOrderId', 'PO-076-' || n, 'text', 'a notice'), s.state, 1, case when s.state = 'failed' then 'HTTP 500' end,
      case when s.state = 'pending' then now() + interval '1 day' else ${its.at} end, ${its.at}, case when s.state = 'sent' then ${its.at} end
    ${each}, lateral (select case when n % 1500 = 1 then 'failed' when ${its.isOpen} and n % 50 = 1 then 'pending' else 'sent' end) s(state)`);
  // what is kept for a month, or for eight days: of a million orders a run every minute, a window every five
  await run(`
    insert into tracking_runs (id, tracker, state, planned, updated, unchanged, requests, started_at, finished_at)
    select ${its.run}, (array['fan-courier', 'delhivery-b2c'])[1 + r % 2], 'finished', 1000, 400, 600, 40,
      now() - r * interval '1 minute', now() - r * interval '1 minute'
    from generate_series(1, ${Math.ceil(orders / 25)}) r`);
  await run(`
    insert into tracking_batches (run_id, no, shipment_ids, state, attempts, due_at)
    select ${its.run}, b, '{}', 'done', 1, now() - r * interval '1 minute'
    from generate_series(1, ${Math.ceil(orders / 25)}) r, generate_series(0, 19) b`);
  await run(`
    insert into temu_sync_windows (store_id, window_start, window_end, expected, stored, state, created_at, finished_at)
    select ${its.store}, now() - w * interval '5 minutes', now(), 50, 50, 'complete', now() - w * interval '5 minutes', now()
    from generate_series(0, ${stores - 1}) n, generate_series(1, ${Math.ceil((4 * orders) / 115 / stores)}) w`);
  await run(`
    insert into samples (series, label, at, value)
    select s.series, 'label ' || l, date_trunc('minute', now()) - m * interval '1 minute', random()
    from generate_series(0, ${Math.ceil(orders / 87)}) m, generate_series(0, 5) l,
      unnest(array['awb_minutes', 'quota_used', 'waiting_seconds', 'heard_seconds', 'staleness_seconds', 'parcels', 'queue_depth', 'orders_waiting']) s(series)
    order by 3`);
  await run('set session_replication_role = origin');
  await tidy(sql);
}
