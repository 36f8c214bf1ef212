import { COURIERS } from '../../sandbox/couriers/catalogue.ts';
import type { CourierOptions } from '../../sandbox/couriers/couriers.ts';
import type { CourierName, Parcel } from '../../sandbox/couriers/model.ts';
import type { ParcelSpec } from '../../sandbox/couriers/parcels.ts';
import { bookParcels } from '../../sandbox/other-channels.ts';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';
import { enqueueDue } from '../../src/leases/enqueue.ts';
import { type RunningWorkers, runWorkers } from '../../src/queue/run.ts';
import { batchesOf } from '../../src/tracking/engine/claim.ts';
import {
  reconcileTrackers,
  startRun,
  type Tracker,
  type TrackingDeps,
  trackingHandlers,
  trackingTasks,
} from '../../src/tracking/index.ts';
import { couriers as allCouriers } from '../../src/tracking/registry.ts';
import { emptyQueues } from './empty-queues.ts';
import { startTestFleet, type TestFleet } from './fleet.ts';
import type { Backend } from './redis.ts';
import { until } from './until.ts';

export interface RunRow {
  id: string;
  state: string;
  planned: number;
  updated: number;
  unchanged: number;
  not_found: number;
  mismatched: number;
  unmapped: number;
  failed: number;
  requests: number;
  waits: number;
  words: Record<string, number>;
  errors: Record<string, number>;
}

export interface ShipmentRow {
  id: string;
  number: string;
  status: string;
  courier_status: string | null;
  last_tracked_at: Date | null;
  picked_up_at: Date | null;
  delivered_at: Date | null;
  rto_started_at: Date | null;
  being_tracked: boolean | null;
  tracking_ended: string | null;
  tracked_by: string | null;
  unmapped_word: string | null;
  status_times: Record<string, string>;
  order_status: number;
}

/** A fleet that tracks, in this process, against the sandbox's couriers, with a clock that can be put forward. */
export interface TrackingStand {
  sandbox: Sandbox;
  stack: TestFleet;
  /** What the handlers get, with the clock of the stand. */
  deps: TrackingDeps;
  tracker(name: CourierName): Tracker;
  /** A parcel at the courier with its order and shipment in the database. */
  parcel(api: CourierName, spec?: Partial<ParcelSpec>): Promise<Parcel>;
  /** Orders and shipments of parcels that the sandbox has. */
  book(parcels: readonly Parcel[]): Promise<void>;
  /** Begins a run. Throws when it is skipped. */
  start(tracker: CourierName): Promise<void>;
  /** Waits for the end of the run that was begun last. */
  ended(tracker: CourierName): Promise<RunRow>;
  /** One run from beginning to end. */
  run(tracker: CourierName): Promise<RunRow>;
  lastRun(tracker: CourierName): Promise<RunRow>;
  shipment(number: string): Promise<ShipmentRow>;
  /** All of them, by number. */
  shipments(): Promise<Map<string, ShipmentRow>>;
  work(): RunningWorkers;
  /** Removes all orders, parcels, runs and notices. */
  empty(): Promise<void>;
  /** Does once what the scheduler does all the time. */
  tick(): Promise<void>;
  advance(ms: number): void;
  /** Some time later, with batches at rest: their jobs are made anew, since jobs wait by the real clock. */
  later(ms: number): Promise<void>;
  now(): number;
  close(): Promise<void>;
}

export async function startTrackingStand(
  backend: Backend,
  options: CourierOptions = {},
  settings: Record<string, string> = {},
): Promise<TrackingStand> {
  const couriers = Object.fromEntries(
    COURIERS.map((name) => [name, { limit: null, loginLimit: null, ...options[name] }]),
  );
  const sandbox = await startSandbox({ couriers });
  const stack = await startTestFleet(backend, sandbox.routers, {
    ...FAST,
    ...sandbox.couriers.env(),
    ...settings,
  });
  const { fleet, sql } = stack;
  let offsetMs = 0;
  const deps = { ...fleet, clock: () => Date.now() + offsetMs };
  const workers: RunningWorkers[] = [];
  await reconcileTrackers(deps, fleet.config.TRACKING_STATUS);
  /** As the scheduler does, only sooner: a job that was lost when a test emptied the queues comes back. */
  let sweeping: Promise<unknown> = Promise.resolve();
  const sweep = setInterval(() => {
    sweeping = Promise.all(
      fleet.trackers.map((tracker) => enqueueDue(deps, batchesOf(tracker), { againMs: 3_000 })),
    ).catch(() => {});
  }, 1_000);

  const stand: TrackingStand = {
    sandbox,
    stack,
    deps,
    tracker(name) {
      const tracker = fleet.trackers.find((one) => one.name === name);
      if (!tracker) throw new Error(`no tracker ${name}`);
      return tracker;
    },
    async parcel(api, spec = {}) {
      const parcel = sandbox.couriers.parcels.add({ api, ...spec });
      await stand.book([parcel]);
      return parcel;
    },
    book: (parcels) => bookParcels(sql, parcels),
    async start(name) {
      const started = await startRun(deps, stand.tracker(name));
      if (started.is === 'skipped') throw new Error(`skipped: ${started.reason}`);
    },
    async run(name) {
      await stand.start(name);
      return await stand.ended(name);
    },
    async ended(name) {
      let swept = performance.now();
      return await until(
        async () => {
          if (performance.now() - swept > 500) {
            await enqueueDue(deps, batchesOf(stand.tracker(name))); // as the scheduler does
            swept = performance.now();
          }
          const run = await stand.lastRun(name);
          return run.state === 'finished' && run;
        },
        { timeoutMs: 45_000, what: `the run of ${name} to end` },
      );
    },
    async lastRun(name) {
      const [run] = await sql<RunRow[]>`
        select * from tracking_runs where tracker = ${name} order by started_at desc limit 1`;
      if (!run) throw new Error(`${name} has never run`);
      return run;
    },
    async shipment(number) {
      const [row] = await sql<ShipmentRow[]>`
        select s.*, coalesce(s.lr_number, s.awb_number) as number, o.order_status
        from shipments s join orders o on o.id = s.order_id where ${number} in (s.awb_number, s.lr_number)`;
      if (!row) throw new Error(`no shipment ${number}`);
      return row;
    },
    async shipments() {
      const rows = await sql<ShipmentRow[]>`
        select s.*, coalesce(s.lr_number, s.awb_number) as number, o.order_status
        from shipments s join orders o on o.id = s.order_id`;
      return new Map(rows.map((row) => [row.number, row]));
    },
    work() {
      const running = runWorkers(trackingHandlers(deps), deps);
      workers.push(running);
      return running;
    },
    async empty() {
      // a sweep or a batch may still be at work, and Postgres end the truncate as the victim of a deadlock
      await until(() => sql`truncate orders, shipments, shipment_events, tracking_runs, notices cascade`);
    },
    async tick() {
      for (const task of trackingTasks(deps)) await task.run(new AbortController().signal);
    },
    advance(ms) {
      offsetMs += ms;
    },
    async later(ms) {
      await until(async () => (await sql`select from tracking_batches where state = 'working'`).length === 0);
      offsetMs += ms;
      await emptyQueues(stack);
      await sql`update tracking_batches set offered_at = null`;
      await stand.tick();
    },
    now: deps.clock,
    async close() {
      clearInterval(sweep);
      await sweeping;
      for (const name of COURIERS) sandbox.couriers.api[name].faults.clear();
      await Promise.all(workers.map((running) => running.stop(500)));
      await sandbox.close();
      await stack.close();
    },
  };
  return stand;
}

/** Tests do not wait as long as the couriers want: the limits have tests of their own. */
const FAST = Object.fromEntries(
  allCouriers.map(({ name }) => [`${name.toUpperCase().replaceAll('-', '_')}_LIMIT`, 'off']),
);
