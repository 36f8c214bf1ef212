import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { recordedParcels } from '../../sandbox/couriers/recorded.ts';
import { courierTest, DAY, HOUR, post, request } from './couriers.ts';

const recorded = (file: string) =>
  JSON.parse(readFileSync(new URL(`../fixtures/couriers/${file}.json`, import.meta.url), 'utf8'));

async function loggedIn() {
  const test = await courierTest();
  const token: string = (await test.shiprocketLogin()).json.token;
  return { ...test, token };
}

describe('Shiprocket', () => {
  it('answers by AWB, without those it does not know; all unknown is {}', async () => {
    const { shiprocket, parcels, token, api } = await loggedIn();
    const many = parcels.addMany({ api: 'shiprocket', count: 49, mix: { delivered: 1 }, days: 1 });
    const numbers = many.filter(({ bookedAt }) => bookedAt < Date.now() - HOUR).map(({ number }) => number);
    const { json } = await shiprocket([...numbers, '123'], token);
    expect(Object.keys(json)).not.toEqual(numbers);
    expect(Object.keys(json).sort()).toEqual([...numbers].sort());
    expect((await shiprocket(['123', '456'], token)).text).toBe('{}');
    api.shiprocket.settings.emptyAs = '[]';
    expect((await shiprocket(['123'], token)).text).toBe('[]');
    const single = `/courier/track/awb/123`;
    const url = `${(await loggedIn()).env.SHIPROCKET_URL}${single}`;
    expect((await request(url)).status).toBe(401);
  });

  it('refuses what is no list, no strings, or more than 50', async () => {
    const { shiprocket, token } = await loggedIn();
    expect(await shiprocket('123', token)).toMatchObject({
      status: 500,
      json: { message: 'Invalid argument supplied for foreach()', status_code: 500 },
    });
    expect((await shiprocket([123], token)).status).toBe(422);
    const tooMany = Array.from({ length: 51 }, (_, index) => String(index));
    expect(await shiprocket(tooMany, token)).toMatchObject({ status: 422, json: { status_code: 422 } });
  });

  it('shows activities newest first, the number of the status, and dates in several forms', async () => {
    const { shiprocket, parcels, token } = await loggedIn();
    const many = parcels.addMany({ api: 'shiprocket', count: 50, mix: { delivered: 1 }, days: 9 });
    const { json } = await shiprocket(
      many.map(({ number }) => number),
      token,
    );
    const forms = new Set<string>();
    const items = Object.entries(json as Record<string, { tracking_data: Record<string, unknown> }>);
    for (const [awb, { tracking_data: data }] of items) {
      const [track] = data.shipment_track as Record<string, string>[];
      expect(track?.awb_code).toBe(awb);
      const dates = ((data.shipment_track_activities ?? []) as { date: string }[]).map(({ date }) => date);
      expect(dates).toEqual([...dates].sort().reverse());
      if (parcels.truth(awb).status === 'delivered') expect(data.shipment_status).toBe(7);
      for (const date of [data.etd, track?.delivered_date])
        forms.add(
          String(date)
            .replace(/[a-z]{2}/g, 'x')
            .replace(/\d/g, '9'),
        );
    }
    expect([...forms]).toEqual(
      expect.arrayContaining(['9999-99-99 99:99:99', expect.stringMatching(/^[A-Z]x 99, 9999$/), 'NA', '']),
    );
  });

  it('says of a cancelled parcel no more than that', async () => {
    const { shiprocket, parcels, token } = await loggedIn();
    const { number } = parcels.add({ api: 'shiprocket', life: 'cancelled', bookedAt: Date.now() - 2 * DAY });
    expect((await shiprocket([number], token)).json).toEqual({
      [number]: { tracking_data: { shipment_status: 8, error: 'Ohh! This AWB has been cancelled.' } },
    });
  });

  it('serves the recorded parcels, and answers one unknown AWB as recorded', async () => {
    const { shiprocket, parcels, token, env } = await loggedIn();
    parcels.put(recordedParcels());
    const bulk = recorded('shiprocket.track-awbs.bulk');
    expect((await shiprocket(Object.keys(bulk), token)).json).toEqual(bulk);
    const get = (awb: string) =>
      request(`${env.SHIPROCKET_URL}/courier/track/awb/${awb}`, {
        headers: { authorization: `Bearer ${token}` },
      });
    expect((await get('123')).json).toEqual(recorded('shiprocket.track-awb.unknown'));
    expect((await get('1091188857722')).json).toEqual(
      recorded('shiprocket.track-shipment.delhivery-picked-up'),
    );
    expect((await get('')).json).toEqual({ message: '404 Not Found', status_code: 404 });
  });

  it('locks after failed logins, and its tokens live for ten days', async () => {
    const { shiprocketLogin, shiprocket, token, sandbox } = await loggedIn();
    for (let i = 0; i < 3; i++) expect((await shiprocketLogin('wrong')).status).toBe(400);
    const locked = recorded('shiprocket.errors')[2];
    expect(await shiprocketLogin()).toMatchObject({ status: locked.http, json: locked.body });
    expect((await shiprocket([], token)).status).toBe(200);
    sandbox.world.clock.offsetMs += 10 * DAY - 60_000;
    expect((await shiprocket([], token)).status).toBe(200);
    expect((await shiprocketLogin()).status).toBe(200);
    sandbox.world.clock.offsetMs += 61_000;
    expect(await shiprocket([], token)).toMatchObject({
      status: 401,
      json: { message: 'Token has expired' },
    });
    expect((await post(`${sandbox.env().SHIPROCKET_URL}/courier/track/awbs`, {})).status).toBe(401);
  });
});
