import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
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

  it('is nothing while the courier knows nothing, and of the others never', async () => {
    const { parcels } = await courierTest();
    const young = parcels.add({ api: 'shiprocket', life: 'neverFound' });
    expect(parcels.push(young.number)).toBeUndefined();
    const velocity = parcels.add({ api: 'velocity' });
    expect(() => parcels.push(velocity.number)).toThrow('velocity pushes nothing');
  });
});
