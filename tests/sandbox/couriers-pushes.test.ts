import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Parcel } from '../../sandbox/couriers/model.ts';
import { courierTest, DAY, fixtureKeys } from './couriers.ts';

const recorded = (file: string) =>
  JSON.parse(readFileSync(new URL(`../fixtures/couriers/${file}.json`, import.meta.url), 'utf8'));

describe('what a courier pushes', () => {
  it.each([
    ['delhivery-b2c', 'delhivery-b2c.webhook.scan-push'],
    ['shiprocket', 'shiprocket.webhook.in-transit'],
  ] as const)('has the fields that %s documents', async (api, file) => {
    const { parcels } = await courierTest();
    const { number } = parcels.add({ api, bookedAt: Date.now() - 8 * DAY });
    const body = parcels.push(number) as Record<string, Record<string, unknown>>;
    const fixture = recorded(file);
    expect(fixtureKeys(body)).toEqual(fixtureKeys(fixture));
    if (api === 'shiprocket') {
      expect(body).toMatchObject({ awb: number, shipment_status_id: 7, order_id: `ORD-${number}` });
      expect(body.current_timestamp).toMatch(/^\d\d \d\d \d{4} \d\d:\d\d:\d\d$/);
    } else {
      expect(fixtureKeys(body.Shipment)).toEqual(fixtureKeys(fixture.Shipment));
      expect(body.Shipment).toMatchObject({
        AWB: number,
        NSLCode: 'EOD-38',
        Status: { Status: 'Delivered', StatusType: 'DL' },
        PickUpDate: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:/),
      });
    }
  });

  it('has B2B’s LR number for an AWB, and the time of the pickup once there was one', async () => {
    const { parcels } = await courierTest();
    const bookedAt = Date.now() - 8 * DAY;
    const { number } = parcels.add({ api: 'delhivery-b2b', number: 'LR1', bookedAt });
    const { Shipment } = parcels.push(number) as { Shipment: Record<string, string> };
    expect(Shipment).toMatchObject({ AWB: 'LR1', Status: { Status: 'Delivered', StatusType: 'DL' } });
    const pickup = Date.parse(`${Shipment.PickUpDate?.replace(' ', 'T')}+05:30`);
    expect(pickup).toBeGreaterThan(bookedAt + 2 * 3_600_000);
  });

  it('is nothing while the courier knows nothing, and of the others never', async () => {
    const { parcels } = await courierTest();
    const young = parcels.add({ api: 'shiprocket', life: 'neverFound' });
    expect(parcels.push(young.number)).toBeUndefined();
    const velocity = parcels.add({ api: 'velocity' });
    expect(() => parcels.push(velocity.number)).toThrow('velocity has no webhook');
  });
});

describe('webhooks', () => {
  it('tell of what is new, with the courier’s header; Delhivery’s second failure is its last', async () => {
    const { sandbox, parcels } = await courierTest();
    const { webhooks } = sandbox.couriers;
    const url = sandbox.hooks.url('in');
    const [one, other] = (['delhivery-b2c', 'shiprocket'] as const).map((api) =>
      parcels.add({ api, life: 'manifested', bookedAt: Date.now() - DAY }),
    ) as [Parcel, Parcel];
    webhooks.start(url, 10);
    // what was there before is not told
    for (const { number } of [one, other]) parcels.setWord(number, { event: 'pickedUp' });
    await webhooks.sent.wait(2);
    expect(sandbox.hooks.requests.list()).toMatchObject([
      {
        hook: 'in/delhivery',
        headers: { 'x-api-key': sandbox.env().DELHIVERY_WEBHOOK_TOKEN },
        body: JSON.stringify(parcels.push(one.number)),
      },
      { hook: 'in/parcels-in', headers: { 'x-api-key': sandbox.env().SHIPROCKET_WEBHOOK_TOKEN } },
    ]);
    sandbox.hooks.answer('in/delhivery', { kind: 'status', status: 503 }, 3);
    sandbox.hooks.answer('in/parcels-in', { kind: 'status', status: 503 }, 1);
    for (const event of ['outForDelivery', 'delivered'] as const) {
      parcels.setWord(one.number, { event });
      await webhooks.sent.wait(event === 'delivered' ? 4 : 3);
    }
    parcels.setWord(other.number, { event: 'delivered' });
    await webhooks.sent.wait(5);
    expect(webhooks.sent.list().map(({ status, tries, lost }) => [status, tries, lost])).toEqual([
      [200, 1, false],
      [200, 1, false],
      [503, 2, true],
      [200, 2, false],
      [503, 1, true],
    ]);
    await webhooks.stop();
    parcels.setWord(one.number, { event: 'rtoStarted' });
    expect(await webhooks.send(one.number, 'http://127.0.0.1:9/')).toMatchObject({
      status: null,
      lost: true,
    });
  });
});
