import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';
import { clientOf, courierTest, DAY, HOUR, post, type Reply, request, wordOf } from './couriers.ts';

const control = (sandbox: Sandbox) => ({
  get: (what: string) => request(`${sandbox.url}/_sandbox${what}`),
  post: (what: string, body: unknown = {}) => post(`${sandbox.url}/_sandbox${what}`, body),
  delete: (what: string) => request(`${sandbox.url}/_sandbox${what}`, { method: 'DELETE' }),
});

describe('the control surface of the couriers', () => {
  it('adds parcels, lists them with what is true of them, and sets their words', async () => {
    const test = await courierTest();
    const { get, post: send } = control(test.sandbox);
    const spec = { api: 'velocity', count: 20, seed: 3, days: 5, mix: { delivered: 2, rto: 1 } };
    const added = await send('/parcels', spec);
    expect(added).toMatchObject({ status: 201, json: { added: 20, total: 20 } });
    expect(added.json.parcels[0]).toMatchObject({
      api: 'velocity',
      number: expect.stringMatching(/^\d{14}$/),
    });
    const bookedAt = Date.now() - HOUR;
    await send('/parcels', {
      api: 'delhivery-b2b',
      number: '220',
      reference: 'ORD-7',
      bookedAt,
      life: 'manifested',
    });
    expect((await get('/parcels?number=220')).json).toMatchObject([
      { reference: 'ORD-7', life: 'manifested', truth: { known: true, status: 'pending' } },
    ]);
    expect((await get('/parcels?api=velocity&limit=5')).json).toHaveLength(5);
    const list = [
      { api: 'velocity', number: 'V1' },
      { api: 'shiprocket', number: 'S1' },
    ];
    expect((await send('/parcels', { list })).json).toMatchObject({ added: 2, total: 23 });
    expect((await send('/parcels', { recorded: true })).json).toMatchObject({ added: 9 });
    expect((await send('/parcels/220', { status: 'OFD' })).json).toMatchObject({ known: true, event: 'OFD' });
    expect(await wordOf(test, 'delhivery-b2b', '220')).toBe('OFD');
  });

  it('changes limits and settings, ends tokens, sets faults, and shows who asked what', async () => {
    const test = await courierTest();
    const { get, post: send, delete: remove } = control(test.sandbox);
    const change = await send('/couriers/delhivery-b2c', {
      limit: { max: 750, perSeconds: 5 },
      unknownInBatch: 'error',
      key: 'other',
    });
    expect(change.json.settings).toMatchObject({ limit: { max: 750, perSeconds: 5 }, key: 'other' });
    expect((await get('/env')).json).toMatchObject({ DELHIVERY_AUTH_TOKEN_B2C: 'other', SLACK_TOKEN: /./ });
    const fault = { times: 1, do: { kind: 'status', status: 429, headers: { 'retry-after': '4' } } };
    expect((await send('/couriers/delhivery-b2c/faults', fault)).status).toBe(201);
    const ask = (): Promise<Reply> => test.b2c(['1', '2'], '', { authorization: 'Token other' });
    expect((await ask()).headers.get('retry-after')).toBe('4');
    expect((await ask()).status).toBe(200);
    expect((await get('/couriers/delhivery-b2c/faults')).json).toMatchObject([{ hits: 1, ...fault }]);
    const ledger = await get('/couriers/delhivery-b2c/ledger?peakOver=1000&outcome=ok');
    expect(ledger.json).toMatchObject({
      summary: { requests: 2, numbersAsked: 4, largestBatch: 2 },
      peak: 2,
      entries: [{ kind: 'track', numbers: ['1', '2'], status: 200 }],
    });
    const token = test.api.shiprocket.account?.issue() as string;
    await send('/couriers/shiprocket', { revokeTokens: true, account: { lockAfter: 1 } });
    expect((await test.shiprocket([], token)).status).toBe(401);
    expect((await test.shiprocketLogin('wrong')).status).toBe(400);
    expect((await get('/couriers')).json.shiprocket).toMatchObject({ locked: true, loginsRefused: 1 });
    await send('/couriers/shiprocket', { unlock: true });
    expect((await test.shiprocketLogin()).status).toBe(200);
    await remove('/couriers');
    expect((await get('/couriers/shiprocket')).json.requests).toBe(0);
    await send('/reset');
    expect((await get('/couriers/delhivery-b2c/faults')).json).toEqual([]);
  });

  it.each([
    ['/couriers/usps', {}, 'courier'],
    ['/couriers/velocity', { unknownInBatch: 'error' }, 'velocity has no setting unknownInBatch'],
    ['/couriers/delhivery-b2c', { revokeTokens: true }, 'has no login'],
    ['/couriers/velocity/faults', { do: { kind: 'explode' } }, 'kind'],
    ['/parcels', { api: 'velocity', life: 'eternal' }, 'wrong body'],
    ['/parcels/nothing', {}, 'no courier of the sandbox has a parcel "nothing"'],
    ['/parcels/nothing', { event: 'explode' }, 'event'],
    ['/mails/trouble', {}, 'no SMTP server runs here'],
  ])('POST %s %j is refused with a clear error', async (what, body, error) => {
    const { sandbox } = await courierTest();
    const answer = await control(sandbox).post(what, body);
    expect(answer).toMatchObject({ status: 400, json: { error: expect.stringContaining(error) } });
  });
});

describe('the state file', () => {
  it('holds the parcels with their lives and words; tokens outlive a restart', async () => {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'sandbox-'));
    onTestFinished(() => rm(dir, { recursive: true, force: true }));
    const stateFile = path.join(dir, 'state');
    const first = await startSandbox({ stateFile, speed: 10 });
    first.couriers.parcels.addMany({ api: 'shiprocket', count: 200 });
    const { number } = first.couriers.parcels.add({ api: 'shiprocket', bookedAt: Date.now() - DAY });
    first.couriers.parcels.setWord(number, { event: 'lost' });
    const parcels = first.couriers.parcels.list();
    const token = (await clientOf(first).shiprocketLogin()).json.token;
    await first.close();

    const second = await startSandbox({ stateFile });
    onTestFinished(() => second.close());
    expect(second.couriers.parcels.list()).toEqual(parcels);
    const { json } = await clientOf(second).shiprocket([number], token);
    expect(json[number].tracking_data.shipment_status).toBe(12);
  });
});
