import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { COURIERS, standInOf } from '../../sandbox/couriers/catalogue.ts';
import type { CourierName } from '../../sandbox/couriers/model.ts';
import { trackers as doctorOfTrackers } from '../../src/doctor/trackers.ts';
import { credentialSettings } from '../../src/tracking/index.ts';
import { startTrackingStand, type TrackingStand } from '../support/tracking.ts';
import { until } from '../support/until.ts';

/**
 * E8: a wrong password, an over-limit, an unknown number and a server error of each European courier, in the form of its
 * own, are told apart; doctor says what to do about each.
 */
const EUROPEAN = COURIERS.filter((api) => standInOf(api).booking.source === 'temu');

let stand: TrackingStand;
beforeAll(async () => {
  stand = await startTrackingStand('postgres');
  stand.work();
});
afterEach(async () => {
  for (const api of EUROPEAN) stand.sandbox.couriers.api[api].faults.clear();
  stand.sandbox.couriers.parcels.clear();
  await stand.empty();
  await stand.stack.sql`
    update trackers set stopped_at = null, stopped_reason = null, waiting_until = null, waits = 0, token = null`;
});
afterAll(() => stand?.close());

const row = async (api: CourierName) => {
  const [tracker] = await stand.stack.sql<
    { stopped_reason: string | null; waiting_until: Date | null; waiting_reason: string | null }[]
  >`
    select stopped_reason, waiting_until, waiting_reason from trackers where name = ${api}`;
  if (!tracker) throw new Error(`no tracker ${api}`);
  return tracker;
};
const doctor = async (api: CourierName) => {
  const fleet = { ...stand.stack.fleet, clock: stand.deps.clock };
  const findings = await doctorOfTrackers.look(fleet, new AbortController().signal);
  return findings.find(({ says }) => says.startsWith(`${api} `));
};

describe.each(EUROPEAN)('%s', (api) => {
  const strike = (kind: 'unauthorized' | 'limited') =>
    stand.sandbox.couriers.api[api].faults.add({ do: { kind } });

  test('E8: a wrong password stops the tracker, and doctor names its settings', async () => {
    await stand.parcel(api, { life: 'delivered', bookedAt: stand.now() - 86_400_000 });
    strike('unauthorized');
    await stand.run(api);
    expect((await row(api)).stopped_reason).toBeTruthy();
    const found = await doctor(api);
    expect(found?.verdict).toBe('fault');
    for (const variable of credentialSettings(stand.tracker(api).courier))
      expect(found?.remedy).toContain(variable);
  });

  test('E8: an over-limit is waited for, and doctor says until when', async () => {
    await stand.parcel(api, { life: 'delivered', bookedAt: stand.now() - 86_400_000 });
    strike('limited');
    await stand.start(api);
    await until(async () => (await row(api)).waiting_until !== null);
    expect((await row(api)).stopped_reason).toBeNull();
    expect(await doctor(api)).toMatchObject({
      verdict: 'warning',
      says: expect.stringContaining('paused until'),
    });
  });

  test('E8: a server error is tried again, and nothing is stopped', async () => {
    const { number } = await stand.parcel(api, {
      life: 'delivered',
      bookedAt: stand.now() - 20 * 86_400_000,
    });
    stand.sandbox.couriers.api[api].faults.add({
      on: 'track',
      times: 1,
      do: { kind: 'status', status: 502 },
    });
    expect(await stand.run(api)).toMatchObject({ failed: 0, updated: 1 });
    expect(await row(api)).toMatchObject({ stopped_reason: null, waiting_until: null });
    expect((await stand.shipment(number)).status).toBe('delivered');
  });

  test('E8: an unknown number is not found, and fails nothing', async () => {
    await stand.parcel(api, { life: 'neverFound', bookedAt: stand.now() - 86_400_000 });
    const run = await stand.run(api);
    expect(run).toMatchObject({ failed: 0 });
    expect(run.not_found + run.unchanged).toBe(1); // Cargus and DPD cannot tell it from one that was not scanned
  });
});
