import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COURIERS } from '../../sandbox/couriers/model.ts';
import { startRun } from '../../src/tracking/index.ts';
import { held } from '../support/held.ts';
import { oneBackend } from '../support/redis.ts';
import { startTrackingStand, type TrackingStand } from '../support/tracking.ts';
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
    const many = parcels.addMany({ api, count: api === 'delhivery-fallback' ? 40 : 120, seed: 5, days: 20 });
    await stand.book(many);
    const run = await stand.run(api);
    expect(run).toMatchObject({ planned: many.length, failed: 0, mismatched: 0 });
    expect(run.updated + run.unchanged + run.not_found + run.unmapped).toBe(run.planned);
    let lost = 0;
    let strange = 0;
    for (const { number, life } of many) {
      const truth = parcels.truth(number);
      const row = await stand.shipment(number);
      expect(row.last_tracked_at).not.toBeNull();
      if (row.tracking_ended || !truth.known) lost++;
      if (row.unmapped_word) strange++;
      // C9: the fallback forgets parcels a week after their end, and says so
      if (row.tracking_ended) expect([api, row.being_tracked]).toEqual(['delhivery-fallback', false]);
      // C6: a word that no table has changes nothing
      else if (row.unmapped_word) expect([life, row.status]).toEqual(['strangeWord', 'pending']);
      else expect([number, life, row.status]).toEqual([number, life, truth.status]);
    }
    expect([run.not_found, run.unmapped]).toEqual([lost, strange]);
    // a second run asks again for what has not ended, and changes nothing
    const again = await stand.run(api);
    expect(again.updated).toBe(0);
    expect(again.planned).toBeLessThan(run.planned);
  });

  test('C3: a run that another process begins meanwhile is not begun twice', async () => {
    const sql = stand.deps.db.$client;
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
    expect(await starting).toMatchObject({ is: 'skipped', reason: 'its last run is still going on' });
    await sql`delete from tracking_runs where tracker = 'velocity' and state = 'running'`;
  });
});
