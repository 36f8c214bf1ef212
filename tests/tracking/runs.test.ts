import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COURIERS } from '../../sandbox/couriers/catalogue.ts';
import { startRun } from '../../src/tracking/index.ts';
import { held } from '../support/held.ts';
import { oneBackend } from '../support/redis.ts';
import { type ShipmentRow, startTrackingStand, type TrackingStand } from '../support/tracking.ts';
import { until } from '../support/until.ts';

describe.each(oneBackend())('runs of all trackers, queues on %s', (backend) => {
  let stand: TrackingStand;
  beforeAll(async () => {
    stand = await startTrackingStand(backend);
    stand.work();
  });
  afterAll(() => stand.close());

  test.each(COURIERS)('C3, C4, C7: every parcel of %s gets the status that its scans mean', async (api) => {
    const { parcels } = stand.sandbox.couriers;
    const many = parcels.addMany({ api, count: api === 'delhivery-fallback' ? 40 : 80, seed: 5, days: 20 });
    await stand.book(many);
    const run = await stand.run(api);
    expect(run).toMatchObject({ planned: many.length, failed: 0, mismatched: 0 });
    expect(run.updated + run.unchanged + run.not_found + run.unmapped).toBe(run.planned);
    let lost = 0;
    let strange = 0;
    let pending = 0;
    const shipments = await stand.shipments();
    for (const { number, life, returnNumber, redirectNumber } of many) {
      const truth = parcels.truth(number);
      const row = shipments.get(number) as ShipmentRow;
      expect(row.last_tracked_at).not.toBeNull();
      if (row.tracking_ended || !truth.known) lost++;
      if (row.unmapped_word) strange++;
      if (truth.known && truth.status === 'pending') pending++;
      // C9: the fallback forgets parcels a week after their end, and says so
      if (row.tracking_ended) expect([api, row.being_tracked]).toEqual(['delhivery-fallback', false]);
      // C6: an unmapped status changes nothing; a history still says what was before it
      else if (row.unmapped_word)
        expect([`strangeWord pending`, `strangeWord ${truth.status}`]).toContain(`${life} ${row.status}`);
      else {
        // E4: that it arrived back, and where it was sent on, its other number says in the next run
        const back = returnNumber && truth.status === 'rto';
        const on = redirectNumber && parcels.truth(redirectNumber).status !== 'pending';
        const status = back ? 'rto_in_transit' : on ? 'in_transit' : truth.status;
        expect([number, life, row.status]).toEqual([number, life, status]);
      }
    }
    expect(run.unmapped).toBe(strange);
    // Cargus does not tell a parcel that was not scanned yet from one that it does not know
    expect(run.not_found).toBeGreaterThanOrEqual(lost);
    expect(run.not_found).toBeLessThanOrEqual(lost + (api === 'cargus' ? pending : 0));
    // a second run asks again for what has not ended, and changes nothing
    const again = await stand.run(api);
    const linked = many.filter(({ returnNumber, redirectNumber }) => returnNumber ?? redirectNumber);
    if (linked.length === 0) expect(again.updated).toBe(0);
    const later = await stand.shipments();
    for (const { number } of linked) {
      const row = later.get(number) as ShipmentRow;
      if (!row.unmapped_word) expect([number, row.status]).toEqual([number, parcels.truth(number).status]);
    }
    expect(again.planned).toBeLessThan(run.planned);
  });

  test('C3: a run that another process begins meanwhile is not begun twice', async () => {
    const sql = stand.stack.sql;
    let starting: Promise<unknown> | undefined;
    await sql.begin(
      held(async (other) => {
        await other`select from trackers where name = 'velocity' for update`;
        starting = startRun(stand.deps, stand.tracker('velocity'));
        await until(async () => {
          const waiting = await sql`
            select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
          return waiting.length > 0;
        });
        await other`insert into tracking_runs (tracker, state, planned, started_at) values ('velocity', 'running', 0, now())`;
      }),
    );
    expect(await starting).toMatchObject({ is: 'skipped', reason: 'the last run is still in progress' });
    await sql`delete from tracking_runs where tracker = 'velocity' and state = 'running'`;
  });
});
