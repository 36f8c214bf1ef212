import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CourierName } from '../../sandbox/couriers/model.ts';
import { trackersTable } from '../../src/cli/trackers.ts';
import { trackers as doctor } from '../../src/doctor/trackers.ts';
import { readFleetMetrics } from '../../src/ops/fleet-metrics.ts';
import { trackingOverview } from '../../src/tracking/index.ts';
import { oneBackend } from '../support/redis.ts';
import { type ShipmentRow, startTrackingStand, type TrackingStand } from '../support/tracking.ts';

const HOUR = 3_600_000;
const COUNT = 80;

describe.each(oneBackend())('E7: couriers with a feed, queues on %s', (backend) => {
  let stand: TrackingStand;
  beforeAll(async () => {
    stand = await startTrackingStand(backend);
    stand.work();
  });
  afterAll(() => stand?.close());

  /** Both clocks: the courier's and the fleet's. */
  const pass = (ms: number) => {
    stand.sandbox.world.clock.offsetMs += ms;
    stand.advance(ms);
  };
  const requests = (api: CourierName) =>
    stand.sandbox.couriers.api[api].ledger.entries().filter(({ kind }) => kind === 'track').length;

  test.each<[CourierName]>([['sameday'], ['cargus']])(
    '%s: after the first run what changed comes from the feed, and ends are confirmed by number',
    async (api) => {
      const { parcels } = stand.sandbox.couriers;
      const many = parcels.addMany({ api, count: COUNT, seed: 11, days: 3 });
      await stand.book(many);
      const first = await stand.run(api);
      expect(first).toMatchObject({ planned: COUNT, failed: 0 });
      for (let nth = 0; nth < 8; nth++) {
        pass(1.4 * HOUR);
        const before = requests(api);
        const run = await stand.run(api);
        // every parcel of the run is accounted for (C3)
        const { planned, updated, unchanged, not_found, unmapped, mismatched, failed } = run;
        expect(updated + unchanged + not_found + unmapped + mismatched + failed).toBe(planned);
        expect(failed).toBe(0);
        expect(requests(api) - before).toBeLessThan(COUNT / 2);
        const shipments = await stand.shipments();
        for (const { number, life, returnNumber } of many) {
          const row = shipments.get(number) as ShipmentRow;
          const truth = parcels.truth(number);
          if (
            !truth.known ||
            life === 'foundLate' ||
            row.unmapped_word ||
            (returnNumber && truth.status === 'rto')
          )
            continue;
          expect([nth, number, life, row.status]).toEqual([nth, number, life, truth.status]);
        }
      }
      // what the feed has not named for a day is polled by number
      pass(25 * HOUR);
      await stand.run(api);
      const [silent] = await stand.stack.sql<{ parcels: number }[]>`
        select count(*)::int as parcels from shipments
        where tracked_by = ${api} and coalesce(last_tracked_at, booked_at) < ${new Date(stand.now() - 24 * HOUR)}`;
      expect(silent?.parcels).toBe(0);
    },
  );

  /** Sameday's, as the views read it, with what they say. */
  const feed = async () => {
    const fleet = { ...stand.stack.fleet, clock: stand.now };
    const { trackers } = await trackingOverview(fleet, stand.now());
    const all = trackers.filter(({ name }) => name === 'sameday');
    const findings = await doctor.look(fleet, new AbortController().signal);
    const { trackers: metrics } = await readFleetMetrics(fleet);
    return {
      feed: all[0]?.feed,
      status: trackersTable(all).split('\n').slice(2).join('\n'),
      doctor: findings.filter(({ says }) => says.includes('feed of sameday')),
      seconds: metrics.find(({ tracker }) => tracker === 'sameday')?.feedFailing,
    };
  };

  test('a feed that fails loses nothing: it is read on from its mark, and meanwhile parcels are polled by number', async () => {
    const { parcels, api } = stand.sandbox.couriers;
    const [parcel] = parcels.addMany({ api: 'sameday', count: 1, seed: 12, days: 1, mix: { delivered: 1 } });
    if (!parcel) throw new Error('no parcel');
    await stand.book([parcel]);
    await stand.run('sameday');
    const mark = async () => {
      const [row] = await stand.stack.sql<
        { at: Date }[]
      >`select feed_read_to as at from trackers where name = 'sameday'`;
      return row?.at.getTime() ?? 0;
    };
    const before = await mark();
    expect(await feed()).toMatchObject({ feed: null, doctor: [], seconds: 0 });
    pass(HOUR);
    api.sameday.settings.feedWorks = false;
    await stand.run('sameday');
    expect(await mark()).toBe(before);
    const since = stand.now();
    expect(await feed()).toMatchObject({
      feed: { why: expect.stringContaining('Validation Failed'), byNumber: false },
    });
    pass(6 * 24 * HOUR);
    // its mark is old by now
    await stand.run('sameday');
    expect(await mark()).toBe(before);
    expect((await stand.shipment(parcel.number)).status).toBe(parcels.truth(parcel.number).status);
    // said: since when, why, and what to do
    const failing = await feed();
    expect(failing.feed).toMatchObject({ byNumber: true });
    expect(Math.abs(Number(failing.feed?.failingSince) - since)).toBeLessThan(60_000);
    expect(failing.seconds).toBeGreaterThan(6 * 24 * 3_600 - 60);
    expect(failing.status).toMatch(
      /the feed of sameday has failed.* since 20.* UTC: .*Validation Failed.*; its parcels are polled by number\n.*ask it whether your account may read/,
    );
    expect(failing.doctor).toEqual([
      {
        verdict: 'warning',
        says: expect.stringMatching(
          /^The feed of sameday has failed since 20.*: .*Validation Failed.*by number$/,
        ),
        remedy: expect.stringContaining('ask it whether your account may read'),
      },
    ]);
    api.sameday.settings.feedWorks = true;
    await stand.run('sameday');
    await stand.run('sameday');
    expect(stand.now() - (await mark())).toBeLessThan(5 * 60_000);
    expect(await feed()).toMatchObject({ feed: null, doctor: [], seconds: 0 });
  });
});
