import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from 'postgres';
import type { CourierCounts, CourierMessage } from '../stand-ins/courier.ts';
import { type Build, commonSettings } from './builds.ts';
import { type Child, startProgram } from './child.ts';
import type { Backend, Stage } from './stage.ts';
import { connect, saveTables, setBack, tidy } from './tables.ts';

/** The first AWB number, less one. */
export const FIRST = 17_040_000_000_000;

export interface Courier {
  url: string;
  forget(): Promise<unknown>;
  limit(limit: { max: number; seconds: number } | null): Promise<unknown>;
  counts(): Promise<CourierCounts>;
  stop(): Promise<unknown>;
}

export async function startCourier(stage: Stage): Promise<Courier> {
  const child = await startProgram('stand-ins/courier.ts');
  stage.watch('courier', child.cpu);
  const ask = <T>(message: CourierMessage) => child.ask<T>(message);
  const counts = () => ask<CourierCounts>({ do: 'count' });
  return {
    url: (await counts()).url,
    forget: () => ask({ do: 'forget' }),
    limit: (limit) => ask({ do: 'limit', limit }),
    counts,
    stop: () => child.stop(),
  };
}

/** Every parcel answered once. */
export async function checkAnswers(courier: Courier, parcels: number): Promise<void> {
  const { different, repeated } = await courier.counts();
  if (different !== parcels || repeated > 0)
    throw new Error(
      `the courier was asked for ${different} of ${parcels} parcels, for ${repeated} repeatedly`,
    );
}

export type RoundKind = 'changed' | 'unchanged';

/** A fleet for parcels: a scheduler, which begins the rounds, and one tracking worker. */
export interface TrackingFleet {
  worker: Child;
  /** The bench's own connection to its database. */
  sql: Sql;
  /** Before the first round. */
  setBack(): Promise<void>;
  /** A round of all parcels, from the run's own start to its end. @returns milliseconds */
  round(): Promise<number>;
  /** Throws unless the last round has read and written every parcel once. */
  check(kind: RoundKind): Promise<void>;
  stop(): Promise<void>;
}

/** No round of its own accord during a bench. */
const NEVER = '2100-01-01';

export async function startTrackingFleet(
  { stage, backend, courier, parcels }: { stage: Stage; backend: Backend; courier: Courier; parcels: number },
  build: Build,
  limit: string,
): Promise<TrackingFleet> {
  const DATABASE_URL = await stage.database(`parcels_${backend}_${build.name}_${limit.replace(/\W/g, '_')}`);
  const env = {
    ...commonSettings(),
    ...stage.queues(backend),
    DATABASE_URL,
    TRACKERS: 'delhivery-b2c',
    DELHIVERY_URL: courier.url,
    DELHIVERY_AUTH_TOKEN_B2C: 'token-of-the-bench',
    DELHIVERY_B2C_LIMIT: limit,
    DELHIVERY_B2C_EVERY: '86400',
  };
  await build.command(env, 'migrate');
  const sql = connect(DATABASE_URL);
  const scheduler = await build.start('scheduler', env);
  const worker = await build.start('tracking', env);
  stage.watch(`${build.name} scheduler`, scheduler.cpu);
  stage.watch(`${build.name} worker`, worker.cpu);
  // as it starts it sets up the trackers and begins a round of nothing
  while ((await sql`select from tracking_runs where state = 'finished'`).length === 0) await sleep(100);
  await sql`update trackers set next_run_at = ${NEVER}`;
  await bookParcels(sql, parcels);
  await sql`delete from tracking_runs`;
  await saveTables(sql);
  let startedAt = new Date(0);
  return {
    ...{ worker, sql },
    setBack: () => setBack(sql),
    async round() {
      await tidy(sql);
      await courier.forget();
      await sql`update trackers set next_run_at = now() where name = 'delhivery-b2c'`;
      for (;;) {
        const [run] = await sql<{ startedAt: Date; ms: number }[]>`
          select started_at as "startedAt", extract(epoch from finished_at - started_at)::float8 * 1000 as ms
          from tracking_runs where state = 'finished' and planned > 0 and started_at > ${startedAt}`;
        if (run) {
          startedAt = run.startedAt;
          await sql`update trackers set next_run_at = ${NEVER}`;
          return run.ms;
        }
        await sleep(50);
      }
    },
    async check(kind) {
      await checkAnswers(courier, parcels);
      const [found] = await sql<{ counted: number; moving: number; fresh: number; events: number }[]>`
        select (select ${sql(kind === 'changed' ? 'updated' : 'unchanged')} from tracking_runs where started_at = ${startedAt}) as counted,
          count(*) filter (where status = 'in_transit')::int as moving,
          count(*) filter (where last_tracked_at >= ${startedAt})::int as fresh,
          (select count(*) from shipment_events)::int as events
        from shipments`;
      for (const [what, number] of Object.entries(found ?? {}))
        if (number !== parcels)
          throw new Error(`${build.name}, ${kind}: ${what} ${number} of ${parcels} parcels`);
    },
    async stop() {
      await worker.stop();
      await scheduler.stop();
      await sql.end();
    },
  };
}

/** As another program of the seller writes them: an order and its parcel each, booked two days ago. */
async function bookParcels(sql: Sql, parcels: number): Promise<void> {
  await sql`
    insert into orders (source, marketplace_order_id)
    select 'shopify', 'ORD-' || (${FIRST}::bigint + n) from generate_series(1, ${parcels}::int) n`;
  await sql`
    insert into shipments (order_id, booking_courier, booked_at, awb_number)
    select id, 'Delhivery Surface', now() - interval '2 days', substr(marketplace_order_id, 5) from orders
    order by marketplace_order_id`;
}
