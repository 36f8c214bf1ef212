import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { standIns } from '../../sandbox/couriers/catalogue.ts';
import { MIX } from '../../sandbox/couriers/lives.ts';
import type { CourierName, LifeName, Parcel } from '../../sandbox/couriers/model.ts';
import type { AnyStandIn } from '../../sandbox/couriers/stand-in.ts';
import type { CourierLimit } from '../../sandbox/couriers/window.ts';
import { createRandom } from '../../sandbox/random.ts';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';
import { generateOrders } from '../../sandbox/temu/generator.ts';
import type { Shop } from '../../sandbox/temu/model.ts';
import { type AwbCreated, createClient } from '../../src/client/index.ts';
import { type RunningWorkers, runWorkers } from '../../src/queue/run.ts';
import { awbHandlers, awbTasks } from '../../src/temu/awb/index.ts';
import { openWindows, orderHandlers, orderTasks } from '../../src/temu/orders/index.ts';
import { isFinal, reconcileTrackers, trackingHandlers, trackingTasks } from '../../src/tracking/index.ts';
import { couriers } from '../../src/tracking/registry.ts';
import { addShopAsStore, startTestFleet, type TestFleet } from '../support/fleet.ts';
import { oneBackend } from '../support/redis.ts';
import { until } from '../support/until.ts';

/** Every life of every courier once; the acceptance run is this file with ORDERFLEET_TEST_ORDERS=10000. */
const ORDERS = Number(process.env.ORDERFLEET_TEST_ORDERS ?? 112);
/**
 * So many times the real limits, on both sides: what the fleet keeps to and what Temu and the couriers allow. Their spans
 * stay, and so does the room between the two. A month passes in a minute here.
 */
const TIMES = Number(process.env.ORDERFLEET_TEST_LIMITS ?? 10);
const PATIENCE_MS = 120_000 + ORDERS * 250;

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Pauses between rounds: feeds are read in time, or from a mark that is old; parcels skip a scan, or half a life. */
const PAUSES_HOURS = [1, 5, 18, 24, 12, 1, 35, 48, 72, 80, 100, 90];
/** Of the sandbox's parcels: where DPD and Cargus deliver for Temu. */
const ROMANIA = 167;

/** What the seller's own carriers deliver for Temu: the sandbox's APIs of parcels of Temu's orders. */
const OWN = standIns.filter(({ booking }) => booking.source === 'temu');
const CARRIER_OF = new Map(OWN.map(({ name, booking }) => [name, booking.courier]));

const variable = (name: CourierName) => `${name.toUpperCase().replaceAll('-', '_')}_LIMIT`;
/** The couriers' own limits, so many times. */
const fleetLimits = Object.fromEntries(
  couriers.flatMap(({ name, limit }): [string, string][] => {
    const own = CARRIER_OF.has(name as CourierName) ? limit?.({}) : undefined;
    return own ? [[variable(name as CourierName), `${own.max * TIMES}/${own.seconds}`]] : [];
  }),
);
const times = (limit: CourierLimit | undefined) => (limit ? { ...limit, max: limit.max * TIMES } : null);
const allowed = Object.fromEntries(
  OWN.map(({ name, limit, loginLimit }) => [name, { limit: times(limit), loginLimit: times(loginLimit) }]),
);

/** Each of an API's lives once, then as often as they are. */
function* livesOf({ mix }: AnyStandIn, seed: number): Generator<LifeName> {
  const weighted = (Object.entries({ ...MIX, ...mix }) as [LifeName, number][]).filter(([, n]) => n > 0);
  yield* weighted.map(([life]) => life);
  const random = createRandom(seed);
  for (;;) yield random.weighted(weighted);
}

interface Row {
  number: string;
  status: string;
  tracked_by: string | null;
  link: string | null;
  linked_to: string | null;
  booking_courier: string;
}

describe.each(oneBackend())(`${ORDERS} Temu orders by the seller's own couriers, queues on %s`, (backend) => {
  let sandbox: Sandbox;
  let stack: TestFleet;
  let workers: RunningWorkers;
  let shop: Shop;
  let storeId: string;
  let offsetMs = 0;
  /** The shipping app's, by their numbers. */
  const booked = new Map<string, Parcel>();
  const clock = () => Date.now() + offsetMs;
  const deps = () => ({ ...stack.fleet, clock });
  const figures: Record<string, unknown> = { backend, ORDERS, TIMES };

  const cpuBefore = process.cpuUsage();

  beforeAll(async () => {
    sandbox = await startSandbox({ qps: 20 * TIMES, couriers: allowed });
    stack = await startTestFleet(backend, sandbox.routers, {
      ...sandbox.couriers.env(),
      ...fleetLimits,
      TEMU_QPS: String(20 * TIMES),
      TRACKERS: OWN.map(({ name }) => name).join(),
      LOG_LEVEL: 'warn',
    });
    shop = sandbox.world.addShop({
      ...{ name: 'shop', appKey: 'its-key', appSecret: 'its-secret', accessToken: 'its-token' },
      ...{ region: 'EU', country: 'RO' },
    });
    const plain = [{ name: 'plain', weight: 1, status: 2, updated: 'old' }] as const;
    const orders = generateOrders({
      ...{ seed: 1, count: ORDERS * 4, shop, now: Date.now(), days: 3, scenarios: plain },
    })
      .filter(({ regionId }) => regionId === ROMANIA)
      .slice(0, ORDERS);
    const inTwoDays = Math.floor((Date.now() + 2 * DAY) / 1000);
    sandbox.world.addOrders(
      shop,
      orders.map((order) => ({ ...order, shipBy: inTwoDays })),
    );
    expect(sandbox.world.orders(shop)).toHaveLength(ORDERS);
    await reconcileTrackers(deps(), undefined);
    storeId = await addShopAsStore(stack, shop);
    const handlers = [...orderHandlers(deps()), ...awbHandlers(deps()), ...trackingHandlers(deps())];
    workers = runWorkers(handlers, deps());
  });
  afterAll(async () => {
    const { user, system } = process.cpuUsage(cpuBefore);
    figures.cpuSeconds = Math.round((user + system) / 1e6);
    if (process.env.FIGURES) console.log(JSON.stringify(figures));
    await workers?.stop(500);
    await sandbox?.close();
    await stack?.close();
  });

  /** What the scheduler does all the time: each task when it is its turn. */
  const tick = async (tasks: ReturnType<typeof orderTasks>) => {
    for (const { id, everyMs, run } of tasks) {
      if (clock() < (lastRuns.get(id) ?? 0) + everyMs) continue;
      lastRuns.set(id, clock());
      await run(new AbortController().signal);
    }
  };
  const lastRuns = new Map<string, number>();

  /** The couriers' clock and the fleet's. Temu's is the couriers', so orders are synced before. */
  const pass = (ms: number) => {
    sandbox.world.clock.offsetMs += ms;
    offsetMs += ms;
  };

  /** Every tracker that is due runs, and all runs end. */
  const round = () =>
    until(
      async () => {
        await tick(trackingTasks(deps()));
        const running = await stack.sql`select tracker from tracking_runs where state = 'running'`;
        return running.length === 0;
      },
      { timeoutMs: PATIENCE_MS, what: 'all runs to end' },
    );

  /**
   * The shipping app: parcels for all orders that are ready and have none, carrier by carrier. Each tenth event is sent
   * twice, and one whose sending failed is sent again.
   */
  async function bookReadyOrders(app: {
    send: ReturnType<typeof createClient>['awbCreated'];
    known: Set<string>;
    unsent: AwbCreated[];
    lives: ReadonlyMap<CourierName, Generator<LifeName>>;
  }): Promise<void> {
    const { send, known, unsent, lives } = app;
    const ready = await stack.sql<{ sn: string }[]>`
      select marketplace_order_id as sn from orders
      where status = 'Ready for Shipping' and not exists (select from shipments where order_id = orders.id)`;
    for (const { sn } of ready.filter(({ sn }) => !known.has(sn))) {
      const { name: api, booking } = OWN[known.size % OWN.length] as AnyStandIn;
      known.add(sn);
      const life = lives.get(api)?.next().value as LifeName;
      const parcel = sandbox.couriers.parcels.add({ api, reference: sn, life, seed: known.size });
      booked.set(parcel.number, parcel);
      const carrier = booking.courier;
      unsent.push({ source: 'temu', marketplaceOrderId: sn, awbNumber: parcel.number, carrier });
    }
    const events = unsent.splice(0);
    while (events.length > 0)
      await Promise.all(
        events.splice(0, 20).map(async (event, nth) => {
          try {
            for (let time = 0; time < (nth % 10 === 0 ? 2 : 1); time++) await send(event);
          } catch {
            unsent.push(event); // the client gives up after two seconds, which a busy machine may take
            figures.sentAgain = Number(figures.sentAgain ?? 0) + 1;
          }
        }),
      );
  }

  test(
    'A1–A9: each number is on Temu exactly once, and Temu refuses nothing',
    async () => {
      const { REDIS_URL: redisUrl, DATABASE_URL: databaseUrl } = stack.fleet.config;
      const client = createClient(redisUrl ? { redisUrl } : { databaseUrl });
      const app = {
        ...{ send: client.awbCreated, known: new Set<string>(), unsent: [] },
        lives: new Map(OWN.map((api, nth) => [api.name, livesOf(api, nth)])),
      };
      const startedAt = Date.now();
      await openWindows(deps(), [storeId]);
      await until(
        async () => {
          await tick([...orderTasks(deps()), ...awbTasks(deps())]);
          await bookReadyOrders(app);
          const states = await stack.sql`select state, error, count(*)::int from temu_pushes group by 1, 2`;
          const sent = states.find(({ state }) => state === 'sent')?.count;
          if (sent !== ORDERS) throw new Error(`${app.known.size} booked, pushes: ${JSON.stringify(states)}`);
          return true;
        },
        { timeoutMs: PATIENCE_MS, what: 'every number to be on Temu' },
      );
      await client.close();
      figures.onTemuAfterSeconds = Math.round((Date.now() - startedAt) / 1000);
      expect(booked.size).toBe(ORDERS);
      onTemuOnce();
    },
    PATIENCE_MS + 30_000,
  );

  function onTemuOnce(): void {
    const { effects, ledger, world } = sandbox;
    expect(effects.summary()).toMatchObject({
      ...{ calls: ORDERS, accepted: ORDERS, refused: {}, faults: {} },
      ...{ numbersToldAgain: [], ordersWithSeveralNumbers: [] },
    });
    const told = new Map(
      world.packages.list().map(({ trackingNumber, contents }) => [trackingNumber, contents]),
    );
    const wrong = [...booked.values()].filter(
      ({ number, reference }) => told.get(number)?.[0]?.parentOrderSn !== reference,
    );
    expect(wrong).toEqual([]);
    const { refused, requests } = ledger.totals().apps[shop.appKey] ?? {};
    figures.temu = { requests, refused, maxPerSecond: ledger.maxPerSecond(shop.appKey) };
    expect(refused).toBe(0);
  }

  test(
    'C2–C10, E1–E7: every parcel ends where the sandbox has it, and no courier refuses a request',
    async () => {
      const startedAt = Date.now();
      await round();
      for (const hours of PAUSES_HOURS) {
        pass(hours * HOUR);
        await round();
      }
      figures.trackedAfterSeconds = Math.round((Date.now() - startedAt) / 1000);
      const rows = new Map((await shipments()).map((row) => [row.number, row]));
      const wrong = [...booked.values()].flatMap(({ api, number, life }) => {
        const { status } = sandbox.couriers.parcels.truth(number);
        const row = rows.get(number);
        return row?.status === status ? [] : [{ api, number, life, truth: status, ours: row?.status }];
      });
      expect(wrong).toEqual([]);
      await refusedNothing();
    },
    PATIENCE_MS * 4,
  );

  const shipments = () => stack.sql<Row[]>`
    select s.awb_number as number, s.status, s.tracked_by, s.link, s.booking_courier, first.awb_number as linked_to
    from shipments s left join shipments first on first.id = s.linked_to`;

  async function refusedNothing(): Promise<void> {
    const requests = OWN.map(({ name }) => {
      const { ledger } = sandbox.couriers.api[name];
      const { tracking, limited, logins, loginsRefused, outcomes } = ledger.summary();
      return { name, tracking, limited, logins, loginsRefused, outcomes, inASecond: ledger.peak(1000) };
    });
    figures.couriers = requests;
    expect(requests.filter(({ tracking }) => tracking === 0)).toEqual([]);
    expect(requests.filter(({ limited, loginsRefused }) => limited + loginsRefused > 0)).toEqual([]);
    const [runs] = await stack.sql`
      select count(*)::int as runs, sum(planned)::int as asked, sum(updated)::int as updated, sum(waits)::int as waits,
        sum(failed)::int as failed, sum(mismatched)::int as mismatched from tracking_runs`;
    figures.runs ??= runs;
    expect(runs).toMatchObject({ waits: 0, failed: 0, mismatched: 0 });
  }

  test('E4: returns and redirections are linked to their first parcels, and are nobody else’s', async () => {
    const { parcels } = sandbox.couriers;
    const seconds = [...booked.values()].flatMap(({ api, number, returnNumber, redirectNumber }) => {
      const second = returnNumber ?? redirectNumber;
      const link = returnNumber ? 'return' : 'redirection';
      return second ? [{ api, first: number, second, link }] : [];
    });
    const expected = seconds.map(({ api, first, second, link }) => ({
      ...{ number: second, link, linked_to: first, booking_courier: CARRIER_OF.get(api) },
      status: parcels.truth(second).status,
    }));
    const found = (await shipments())
      .filter(({ linked_to, number }) => linked_to !== null || !booked.has(number))
      .map(({ tracked_by: _, ...row }) => row);
    const sorted = <T extends { number: string }>(rows: T[]) =>
      rows.sort((a, b) => a.number.localeCompare(b.number));
    expect(sorted(found)).toEqual(sorted(expected));
    figures.linked = Object.fromEntries(
      ['return', 'redirection'].map((link) => [link, seconds.filter((one) => one.link === link).length]),
    );
    for (const link of ['return', 'redirection'])
      expect(new Set(seconds.filter((one) => one.link === link).map(({ api }) => api))).toEqual(
        new Set(OWN.filter(({ secondNumbers }) => secondNumbers).map(({ name }) => name)),
      );
  });

  test('E6: nothing follows a final status, though couriers say what became of the cash', async () => {
    const paid = [...booked.values()].filter(
      ({ api, number, seed }) =>
        (api === 'sameday' || api === 'cargus') &&
        seed % 3 === 0 &&
        sandbox.couriers.parcels.truth(number).status === 'delivered',
    );
    figures.paidInCash = paid.length;
    expect(new Set(paid.map(({ api }) => api)).size).toBe(2);
    const events = await stack.sql<{ shipment: string; status: string }[]>`
      select shipment_id as shipment, status from shipment_events order by shipment_id, recorded_at, occurred_at`;
    const back = events.filter(({ shipment, status }, nth) => {
      const before = events[nth - 1];
      return before?.shipment === shipment && (isFinal(before.status as 'lost') || status === 'pending');
    });
    expect(back).toEqual([]);
    figures.changes = events.length;
  });

  test(
    'C2: after the last parcel’s month none is asked for any more, and no second number was told to Temu',
    async () => {
      pass(31 * DAY);
      await round();
      const asked = (await shipments()).filter(({ tracked_by }) => tracked_by !== null);
      expect(asked).toEqual([]);
      await tick(awbTasks(deps()));
      const pushes = await stack.sql`select state, count(*)::int from temu_pushes group by 1`;
      expect(pushes).toEqual([{ state: 'sent', count: ORDERS }]);
      onTemuOnce();
      await refusedNothing();
    },
    PATIENCE_MS,
  );
});
