import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ceilings } from '../../docs/growth/ceilings.ts';
import { courierLimits } from '../../docs/growth/couriers.ts';
import {
  type Costs,
  DEFAULTS,
  type Inputs,
  MONTH,
  parcelsAMonth,
  parcelsPerInterval,
  simulate,
  TABLES,
} from '../../docs/growth/simulation.ts';

const COST = { worker: 1e-4, postgres: 2e-4, redis: 1e-5, wal: 500, commits: 0.05 };
const SCHEDULER = { worker: 1e-6, postgres: 2e-6, redis: 1e-7 };
const COSTS: Costs = {
  bytesARow: Object.fromEntries(TABLES.map((table) => [table, 200])) as Costs['bytesARow'],
  ...{ order: COST, awb: COST, pollChanged: COST, pollUnchanged: { ...COST, wal: 100 } },
  ...{ schedulerAStore: SCHEDULER, schedulerAlone: SCHEDULER },
  ...{ redisBytesAJob: 500, workerBytes: 150e6, archiveRows: 20_000 },
};
const ONE = { name: 'one', batch: 50, every: 480, limit: { max: 7, seconds: 3 } };
const FREE = { name: 'free', batch: 10, every: 600 };
const run = (change: Partial<Inputs> = {}, couriers = [FREE]) =>
  simulate({ ...DEFAULTS, ...change }, COSTS, couriers);

describe('P10: a courier’s limit', () => {
  test('is parcels of an interval: requests that may leave in it, times numbers of a request', () => {
    expect(parcelsPerInterval(ONE)).toBeCloseTo(50 * (7 / 3) * 480);
    expect(parcelsPerInterval({ ...ONE, mostPerRun: 36_000 })).toBe(36_000);
    expect(parcelsPerInterval({ ...ONE, dailyLimit: 1_800 })).toBeCloseTo((1_800 * 50) / 180);
    expect(parcelsPerInterval(FREE)).toBe(Infinity);
  });

  test('is parcels a month by how long one is in flight', () => {
    expect(parcelsAMonth({ ...ONE, mostPerRun: 1_000 }, 6)).toBe(5_000);
    expect(parcelsAMonth({ ...ONE, mostPerRun: 1_000 }, 3)).toBe(10_000);
  });
});

describe('P10: the simulation', () => {
  test('of 100 million parcels a month has the sizes that arithmetic by hand has', () => {
    const { mean, peak, rowsAMonth, bytesAMonth } = run({ parcelsAnOrder: 1, awbsAnOrder: 1 });
    expect(mean.orders).toBeCloseTo(100e6 / MONTH); // 38.6 a second
    expect(peak.orders / mean.orders).toBeCloseTo(7.5);
    expect(mean.inFlight).toBe(20e6);
    expect(mean.pollsWanted).toBeCloseTo(20e6 / 600);
    expect(mean.temuCalls).toBeCloseTo(10_000 / 150 + 7 * (100e6 / MONTH));
    expect(rowsAMonth).toMatchObject({ shipments: 100e6, orders: 100e6, shipment_events: 500e6 });
    expect(rowsAMonth.temu_sync_windows).toBe(10_000 * 12 * 24 * 30);
    expect(bytesAMonth.shipment_events).toBe(500e6 * 200);
  });

  test('never polls more than a courier allows, nor more than there is', () => {
    const limited = run({}, [ONE]).mean;
    expect(limited.pollsAllowed).toBeCloseTo((50 * 7) / 3);
    expect(limited.pollsWanted).toBeGreaterThan(limited.pollsAllowed);
    const few = run({ parcels: 1_000 }, [ONE]).mean;
    expect(few.pollsAllowed).toBeCloseTo(few.pollsWanted);
  });

  test('has one app key carry all stores, or one, but never more than the fleet', () => {
    const alone = run().mean;
    expect(alone.temuCallsAnAppKey).toBeCloseTo(alone.temuCalls / DEFAULTS.stores);
    const shared = run({ storesAnAppKey: 1e9 }).mean;
    expect(shared.temuCallsAnAppKey).toBeCloseTo(shared.temuCalls);
  });

  const size = fc.double({ min: 1, max: 1e9, noNaN: true });
  test('grows with every input that is more trade, and with nothing shrinks (property)', () => {
    const more: (keyof Inputs)[] = [
      ...(['stores', 'parcels', 'daysInFlight', 'scansAParcel', 'readingsAnOrder', 'awbsAnOrder'] as const),
      ...(['peakDay', 'peakHour', 'monthsKept', 'linesAnOrder', 'noticesAParcel'] as const),
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...more),
        size,
        fc.double({ min: 1, max: 100, noNaN: true }),
        (name, value, factor) => {
          const [less, larger] = [
            run({ [name]: value }, [ONE, FREE]),
            run({ [name]: value * factor }, [ONE, FREE]),
          ];
          const all = ({ mean, peak, bytesAMonth, bytesKept }: typeof less) => [
            // of one app key: more stores leave it less
            ...[mean, peak].flatMap(({ temuCallsAnAppKey: _, ...load }) => Object.values(load)),
            ...[...Object.values(bytesAMonth), bytesKept],
          ];
          const before = all(less);
          for (const [at, now] of all(larger).entries())
            expect(now).toBeGreaterThanOrEqual((before[at] ?? Number.NaN) * (1 - 1e-9));
        },
      ),
    );
  });

  test('is proportional: ten times the stores and parcels are ten times the load (property)', () => {
    fc.assert(
      fc.property(size, (parcels) => {
        const [one, ten] = [
          run({ parcels, stores: parcels }),
          run({ parcels: parcels * 10, stores: parcels * 10 }),
        ];
        for (const what of [
          'orders',
          'awbs',
          'inFlight',
          'pollsAllowed',
          'temuCalls',
          'commits',
          'wal',
        ] as const)
          expect(ten.peak[what] / one.peak[what]).toBeCloseTo(10);
      }),
    );
  });

  test.each([0, -1, Number.NaN, Infinity])('refuses %s parcels', (parcels) => {
    expect(() => run({ parcels })).toThrow(RangeError);
  });
});

describe('P10: what gives way first', () => {
  const inputs = DEFAULTS;
  const at = (costs: Costs) => {
    const couriers = courierLimits();
    const its = simulate(inputs, costs, couriers);
    return ceilings(
      inputs,
      its,
      simulate({ ...inputs, storesAnAppKey: inputs.stores }, costs, couriers),
      couriers,
    );
  };
  const of = (costs: Costs, part: string) =>
    at(costs).find((one) => one.part === part)?.parcels ?? Number.NaN;

  test('comes first, and every part has a limit and something to do', () => {
    const list = at(COSTS);
    expect(list.map(({ parcels }) => parcels)).toEqual(
      list.map(({ parcels }) => parcels).sort((a, b) => a - b),
    );
    for (const { parcels, says, todo } of list) {
      expect(parcels).toBeGreaterThan(0);
      expect(says.length * todo.length).toBeGreaterThan(0);
    }
    expect(list).toHaveLength(courierLimits().length + 8);
  });

  test('moves with what a part costs, and with nothing else', () => {
    const twice = { ...COSTS, awb: { ...COST, wal: 1e6 } };
    expect(of(twice, 'Postgres, WAL')).toBeLessThan(of(COSTS, 'Postgres, WAL'));
    expect(of(twice, 'Postgres, CPU')).toBe(of(COSTS, 'Postgres, CPU'));
    expect(of(COSTS, 'Temu, all stores on one app key')).toBeLessThan(of(COSTS, 'Temu, an app key each'));
  });
});
