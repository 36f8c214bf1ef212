import { describe, expect, it } from 'vitest';
import { courierTest, DAY, HOUR } from './couriers.ts';

describe('Velocity', () => {
  it('answers under result, by AWB; an unknown one is missing, null or empty', async () => {
    const { velocity, velocityLogin, parcels, api } = await courierTest();
    const { token, expires_at } = (await velocityLogin()).json;
    expect(expires_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);
    const { number } = parcels.add({ api: 'velocity', bookedAt: Date.now() - 9 * DAY });
    const { json } = await velocity([number, 'X1'], token);
    expect(Object.keys(json.result)).toEqual([number]);
    const data = json.result[number].tracking_data;
    expect(data).toMatchObject({ track_status: null, shipment_status: 'delivered' });
    expect(Object.keys(data.shipment_track_activities[0])).toEqual(['date', 'activity', 'location']);
    const dates = data.shipment_track_activities.map(({ date }: { date: string }) => date);
    expect(dates).toEqual([...dates].sort().reverse());
    api.velocity.settings.unknownAs = 'null';
    expect((await velocity(['X1'], token)).json.result.X1).toEqual({ tracking_data: null });
    api.velocity.settings.unknownAs = 'empty';
    expect((await velocity(['X1'], token)).json.result.X1).toEqual({ tracking_data: {} });
  });

  it.each([
    ['raw', [200, 401]],
    ['bearer', [401, 200]],
    ['both', [200, 200]],
  ] as const)('takes the token %s', async (header, [raw, bearer]) => {
    const { velocity, velocityLogin } = await courierTest({ velocity: { header } });
    const { token } = (await velocityLogin()).json;
    expect((await velocity(['X1'], token)).status).toBe(raw);
    expect((await velocity(['X1'], `Bearer ${token}`)).status).toBe(bearer);
  });

  it('ends the earlier token with each new one', async () => {
    const { velocity, velocityLogin } = await courierTest();
    const first = (await velocityLogin()).json.token;
    const second = (await velocityLogin()).json.token;
    expect((await velocity(['X1'], first)).status).toBe(401);
    expect((await velocity(['X1'], second)).status).toBe(200);
  });

  it('locks after five wrong passwords', async () => {
    const { velocityLogin, api } = await courierTest();
    for (let i = 0; i < 5; i++) expect((await velocityLogin('wrong')).status).toBe(401);
    expect(await velocityLogin()).toMatchObject({
      status: 401,
      json: { message: expect.stringContaining('locked') },
    });
    api.velocity.account?.unlock();
    expect((await velocityLogin()).status).toBe(200);
  });

  it('knows API keys, which need no login and can be switched off', async () => {
    const { velocity, velocityLogin, api } = await courierTest({ velocity: { loginWorks: false } });
    expect((await velocityLogin()).status).toBe(410);
    const { settings } = api.velocity;
    expect((await velocity(['X1'], settings.apiKey as string)).status).toBe(200);
    settings.apiAccess = false;
    expect((await velocity(['X1'], settings.apiKey as string)).status).toBe(403);
  });

  it('refuses what is no list of strings, or too long', async () => {
    const { velocity, api, parcels } = await courierTest();
    const token = api.velocity.account?.issue() as string;
    expect((await velocity('X1', token)).status).toBe(400);
    expect((await velocity([1], token)).status).toBe(400);
    const many = parcels.addMany({ api: 'velocity', count: 51 }).map(({ number }) => number);
    expect((await velocity(many, token)).status).toBe(422);
    expect((await velocity(many.slice(0, 45), token)).status).toBe(200);
    const young = parcels.add({ api: 'velocity', life: 'foundLate', bookedAt: Date.now() - HOUR });
    expect((await velocity([young.number], token)).json.result).toEqual({});
  });
});
