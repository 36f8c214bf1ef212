import { describe, expect, it } from 'vitest';
import { courierTest, DAY, HOUR, post, request } from './couriers.ts';

const claims = (jwt: string) => JSON.parse(Buffer.from(jwt.split('.')[1] as string, 'base64url').toString());

describe('Delhivery B2B', () => {
  it('gives a JWT for a day, and the newest status of one LR', async () => {
    const { b2b, b2bLogin, parcels } = await courierTest({ 'delhivery-b2b': { vocabulary: 'official' } });
    const { json } = await b2bLogin();
    const { jwt } = json.data;
    const { iat, exp } = claims(jwt);
    expect(exp - iat).toBeGreaterThanOrEqual(86_400);
    expect(Math.abs(iat * 1000 - Date.now())).toBeLessThan(5000);
    const { number } = parcels.add({ api: 'delhivery-b2b', bookedAt: Date.now() - 9 * DAY });
    const answer = await b2b(number, jwt);
    expect(answer).toMatchObject({
      status: 200,
      json: {
        success: true,
        data: {
          lrnum: number,
          status: 'DELIVERED',
          wbns: [{ status: 'DELIVERED', delivered_date: expect.stringMatching(/^\d{4}-\d\d-\d\d$/) }],
        },
      },
    });
    const { mcount } = answer.json.data;
    expect((await b2b(number, jwt, '&all_wbns=true')).json.data.wbns).toHaveLength(mcount + 1);
  });

  it('speaks official words, title-case words, or of each parcel one kind', async () => {
    const { b2b, parcels, api } = await courierTest();
    const account = api['delhivery-b2b'].account;
    const token = account?.issue() as string;
    const many = parcels.addMany({ api: 'delhivery-b2b', count: 40, days: 1, mix: { manifested: 1 } });
    const words = new Set<string>();
    for (const { number } of many.filter(({ bookedAt }) => bookedAt < Date.now() - HOUR))
      words.add((await b2b(number, token)).json.data.status);
    expect([...words].sort()).toEqual(['MANIFESTED', 'Manifested']);
  });

  it('locks the user for ten minutes after a wrong password', async () => {
    const { b2bLogin, api, sandbox } = await courierTest();
    expect((await b2bLogin('wrong')).status).toBe(401);
    expect(await b2bLogin()).toMatchObject({ status: 403, json: { success: false } });
    expect(api['delhivery-b2b'].account?.locked()).toBe(true);
    sandbox.world.clock.offsetMs += 10 * 60_000 + 1000;
    expect((await b2bLogin()).status).toBe(200);
    expect(api['delhivery-b2b'].ledger.summary()).toMatchObject({ logins: 3, loginsRefused: 2 });
  });

  it('says what is wrong with a token, an LR or an address', async () => {
    const { b2b, b2bLogin, env, api, sandbox } = await courierTest();
    const { jwt } = (await b2bLogin()).json.data;
    const told = (answer: { status: number; json: { error: { message: string } } }) => [
      answer.status,
      answer.json.error.message,
    ];
    expect(told(await b2b('123', jwt))).toEqual([200, 'Data not found.']);
    expect(told(await b2b('', jwt))).toEqual([400, 'Invalid Parameters, Please pass LR number or TrackId']);
    expect(told(await b2b('123', 'x'))).toEqual([401, 'Token Decode Error: Not enough segments']);
    expect(told(await request(`${env.DELHIVERY_B2B_URL}/lrn/track?lrnum=1`))).toEqual([
      401,
      'Invalid authorization header provided',
    ]);
    expect(told(await post(`${env.DELHIVERY_B2B_URL}/nothing`, {}))).toEqual([404, 'No Such Resource']);
    const foreign = `${jwt.slice(0, -4)}AAAA`;
    expect(told(await b2b('123', foreign))[1]).toBe('The user is not authorized to perform this action.');
    sandbox.world.clock.offsetMs += DAY + 1000;
    expect(told(await b2b('123', jwt))).toEqual([401, 'Token Decode Error: Signature has expired']);
    api['delhivery-b2b'].settings.tokenErrorStatus = 400;
    expect((await b2b('123', jwt)).status).toBe(400);
  });

  it('ends every token on request', async () => {
    const { b2b, b2bLogin, api } = await courierTest();
    const { jwt } = (await b2bLogin()).json.data;
    api['delhivery-b2b'].account?.revoke();
    expect((await b2b('123', jwt)).status).toBe(401);
    const again = (await b2bLogin()).json.data.jwt;
    expect((await b2b('123', again)).status).toBe(200);
  });

  it('delivers on the day of the booking', async () => {
    const { parcels, api } = await courierTest();
    expect(api['delhivery-b2b'].settings.limit).toMatchObject({ max: 500, perSeconds: 300 });
    // 23:00 in India
    const bookedAt = Date.parse('2026-05-04T17:30:00Z');
    const { number } = parcels.add({ api: 'delhivery-b2b', life: 'sameDay', bookedAt });
    const { at, status } = parcels.truth(number, bookedAt + DAY);
    expect(status).toBe('delivered');
    expect(at).toBeLessThan(Date.parse('2026-05-04T18:30:00Z'));
  });
});
