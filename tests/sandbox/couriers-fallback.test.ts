import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { recordedParcels } from '../../sandbox/couriers/recorded.ts';
import { courierTest, DAY, fixtureKeys, request } from './couriers.ts';

const recorded = (file: string) =>
  JSON.parse(readFileSync(new URL(`../fixtures/couriers/${file}.json`, import.meta.url), 'utf8'));

describe('Delhivery, the fallback', () => {
  it('wants the Origin of its own site, and nothing else', async () => {
    const { fallback, env } = await courierTest();
    const refused = recorded('delhivery-fallback.error.invalid-origin');
    expect(await fallback('1', 'https://elsewhere.example')).toMatchObject({ status: 401, json: refused });
    expect(await request(`${env.DELHIVERY_FALLBACK_URL}?wbn=1`)).toMatchObject({
      status: 401,
      json: refused,
    });
    expect(await fallback('1')).toMatchObject({
      status: 200,
      json: recorded('delhivery-fallback.not-found'),
    });
  });

  it('shows one parcel with the fields of the recorded ones', async () => {
    const { fallback, parcels } = await courierTest();
    parcels.put(recordedParcels());
    const fixture = recorded('delhivery-fallback.waiting-pickup.item');
    expect((await fallback(fixture.awb)).json.data).toEqual([fixture]);
    const { number } = parcels.add({ api: 'delhivery-fallback', bookedAt: Date.now() - DAY });
    const [item] = (await fallback(number)).json.data;
    expect(fixtureKeys(fixture)).toEqual(expect.arrayContaining(fixtureKeys(item)));
    expect(fixtureKeys(item.trackingStates[0])).toEqual(fixtureKeys(fixture.trackingStates[0]));
    expect(fixtureKeys(item.trackingStates[0].scans[0])).toEqual(
      fixtureKeys(fixture.trackingStates[0].scans[0]),
    );
    expect(item).toMatchObject({ awb: number, referenceNo: `ORD-${number}`, currentFlow: 'Forward' });
    // steps to come are shown, too
    expect(item.trackingStates.at(-1)).toEqual({
      label: 'Delivered',
      date: '',
      scans: null,
      scanDateTime: '',
    });
    expect(item.currentTrackIndex).toBeLessThan(item.trackingStates.length - 1);
  });

  it('forgets a parcel seven days after its end, delivered or not', async () => {
    const { fallback, parcels, sandbox } = await courierTest();
    const ended = recorded('delhivery-fallback.end-state');
    const delivered = parcels.add({ api: 'delhivery-fallback', bookedAt: Date.now() - 8 * DAY });
    const back = parcels.add({ api: 'delhivery-fallback', life: 'rto', bookedAt: Date.now() - 14 * DAY });
    expect((await fallback(delivered.number)).json.data[0]).toMatchObject({
      hqStatus: 'Delivered',
      status: { status: 'DELIVERED', statusType: 'DL' },
    });
    expect((await fallback(back.number)).json.data[0]).toMatchObject({
      hqStatus: 'RTO',
      status: { status: 'DELIVERED_SELLER', statusType: 'DL' },
      currentFlow: 'Returned',
    });
    sandbox.world.clock.offsetMs += 8 * DAY;
    expect((await fallback(delivered.number)).json).toEqual(ended);
    expect((await fallback(back.number)).json).toEqual(ended);
    const still = parcels.add({
      api: 'delhivery-fallback',
      life: 'strangeWord',
      bookedAt: Date.now() - 25 * DAY,
    });
    expect((await fallback(still.number)).json.data[0].hqStatus).toBe('Held At Customs');
  });

  it('knows the parcels of the B2C API as well', async () => {
    const { fallback, parcels } = await courierTest();
    const { number } = parcels.add({ api: 'delhivery-b2c', bookedAt: Date.now() - 2 * DAY });
    expect((await fallback(number)).json.data[0].awb).toBe(number);
  });
});
