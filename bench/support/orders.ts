import type { Sql } from 'postgres';
import type { TemuCounts, TemuMessage } from '../stand-ins/temu.ts';
import { type Build, commonSettings } from './builds.ts';
import { startProgram } from './child.ts';
import type { Backend, Stage } from './stage.ts';

export interface Temu {
  url: string;
  /** Settings that lead a fleet here. */
  env: Record<string, string>;
  forget(): Promise<unknown>;
  counts(): Promise<TemuCounts>;
  /** When the request for each parcel came in, milliseconds of the clock. */
  arrivals(): Promise<Record<string, number>>;
  stop(): Promise<unknown>;
}

export async function startTemu(stage: Stage, orders: number): Promise<Temu> {
  const child = await startProgram('stand-ins/temu.ts', [String(orders)]);
  stage.watch('temu', child.cpu);
  const ask = <T>(message: TemuMessage) => child.ask<T>(message);
  const counts = () => ask<TemuCounts>({ do: 'count' });
  const { url } = await counts();
  return {
    url,
    env: {
      TEMU_EU_URL: `${url}/eu/openapi/router`,
      TEMU_US_URL: `${url}/us/openapi/router`,
      TEMU_GLOBAL_URL: `${url}/global/openapi/router`,
    },
    forget: () => ask({ do: 'forget' }),
    counts,
    arrivals: () => ask({ do: 'arrivals' }),
    stop: () => child.stop(),
  };
}

/** A migrated database with the stand-in's store. @returns the settings of its processes */
export async function openStore(
  stage: Stage,
  backend: Backend,
  temu: Temu,
  build: Build,
  purpose: string,
  /** Requests a second that the store may make: more than it will. */
  quota: number,
): Promise<Record<string, string>> {
  const env = {
    ...commonSettings(),
    ...temu.env,
    ...stage.queues(backend),
    DATABASE_URL: await stage.database(`${purpose}_${backend}_${build.name}`),
    TRACKERS: 'none',
    TEMU_QPS: String(quota),
  };
  await build.command(env, 'migrate');
  const store = {
    name: 'bench',
    region: 'EU',
    country: 'RO',
    'app-key': 'key-of-the-bench',
    'app-secret': 'secret-of-the-bench',
    'access-token': 'token-of-the-bench',
  };
  await build.command(
    env,
    'store',
    'add',
    ...Object.entries(store).flatMap(([option, value]) => [`--${option}`, value]),
  );
  return env;
}

/** What a store has behind it: so many orders whose numbers Temu has had for a month. */
export async function addPastPushes(sql: Sql, count: number): Promise<void> {
  await sql.begin(async (sql) => {
    await sql`set local session_replication_role = replica`; // no trigger: they have ended
    await sql`
      insert into orders (id, source, store_id, marketplace_order_id, status, order_status, created_at)
      select md5(n::text)::uuid, 'temu', (select id from temu_stores), 'PAST-' || n, 'Shipped', 10, now() - interval '30 days'
      from generate_series(1, ${count}::int) n`;
    await sql`
      insert into temu_orders (order_id, tracking_sent_to_temu) select id, true from orders where marketplace_order_id like 'PAST-%'`;
    await sql`
      insert into shipments (id, order_id, awb_number, booking_courier, booked_at, status)
      select id, id, marketplace_order_id, 'sameday', created_at, 'delivered' from orders where marketplace_order_id like 'PAST-%'`;
    await sql`
      insert into temu_pushes (shipment_id, order_id, state, sent_at) select id, order_id, 'sent', booked_at from shipments`;
    await sql`
      insert into awb_events (key, payload, state) select order_id || ' ' || awb_number, '{}', 'recorded' from shipments`;
  });
}
