import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { recordedParcels } from '../../sandbox/couriers/recorded.ts';
import { courierTest, DAY, fixtureKeys, HOUR, request } from './couriers.ts';

const recorded = (file: string) =>
  JSON.parse(readFileSync(new URL(`../fixtures/couriers/${file}.json`, import.meta.url), 'utf8'));

describe('Delhivery B2C', () => {
  it('answers for up to 50 waybills in an order of its own, without those it does not know', async () => {
    const { b2c, parcels } = await courierTest();
    const many = parcels.addMany({ api: 'delhivery-b2c', count: 60, mix: { delivered: 1 }, days: 1 });
    const numbers = many.slice(0, 48).map(({ number }) => number);
    const { status, json } = await b2c([...numbers, '00000000000000', numbers[0] as string]);
    expect(status).toBe(200);
    const got = json.ShipmentData.map((item: { Shipment: { AWB: string } }) => item.Shipment.AWB);
    expect(got).not.toEqual(numbers);
    expect([...got].sort()).toEqual([...numbers].sort());
    const tooMany = await b2c(many.slice(0, 51).map(({ number }) => number));
    expect(tooMany).toMatchObject({
      status: 400,
      json: { Error: expect.stringContaining('greater than 50') },
    });
    expect(await b2c([])).toMatchObject({
      status: 400,
      json: { Error: expect.stringContaining('is required') },
    });
  });

  it('answers an unknown waybill as recorded, and a batch with one as it is set', async () => {
    const { b2c, parcels, api } = await courierTest();
    const unknown = recorded('delhivery-b2c.error.unknown-awb');
    expect(await b2c(['123'])).toMatchObject({ status: 200, json: unknown });
    const { number } = parcels.add({ api: 'delhivery-b2c', bookedAt: Date.now() - HOUR });
    expect((await b2c([number, '123'])).json.ShipmentData).toHaveLength(1);
    Object.assign(api['delhivery-b2c'].settings, { unknownInBatch: 'error', unknownStatus: 400 });
    expect(await b2c([number, '123'])).toMatchObject({ status: 400, json: unknown });
    expect((await b2c([number])).json.ShipmentData).toHaveLength(1);
  });

  it('wants its key after the word Token', async () => {
    const { b2c, env } = await courierTest();
    const refused = (authorization: string) => b2c(['1'], '', { authorization });
    expect(await request(`${env.DELHIVERY_URL}?waybill=1`)).toMatchObject({ status: 401 });
    expect(await refused(`Bearer ${env.DELHIVERY_AUTH_TOKEN_B2C}`)).toMatchObject({ status: 401 });
    expect(await refused('Token other')).toMatchObject({
      status: 401,
      json: { detail: 'Login or API Key Required' },
    });
  });

  it('has the fields of the recorded answers, with Scans and Consignee as verbose says', async () => {
    const { b2c, parcels } = await courierTest();
    const { number } = parcels.add({ api: 'delhivery-b2c', bookedAt: Date.now() - 3 * DAY });
    const shipment = async (query: string) => (await b2c([number], query)).json.ShipmentData[0].Shipment;
    const fixture = recorded('delhivery-b2c.cancelled-before-pickup.verbose2').ShipmentData[0].Shipment;
    const full = await shipment('&verbose=2');
    expect(fixtureKeys(full)).toEqual(fixtureKeys(fixture));
    expect(fixtureKeys(full.Status)).toEqual(fixtureKeys(fixture.Status));
    expect(fixtureKeys(full.Consignee)).toEqual(fixtureKeys(fixture.Consignee));
    expect(fixtureKeys(full.Scans[0].ScanDetail)).toEqual(fixtureKeys(fixture.Scans[0].ScanDetail));
    expect(await shipment('&verbose=0')).not.toHaveProperty('Scans');
    expect(await shipment('&verbose=1')).not.toHaveProperty('Consignee');
    expect(await shipment('&verbose=1')).toHaveProperty('Scans');
  });

  it("writes India's time without a zone, with 0 to 6 decimals, scans ascending", async () => {
    const { b2c, parcels } = await courierTest();
    const many = parcels.addMany({ api: 'delhivery-b2c', count: 50, mix: { delivered: 1 }, days: 4 });
    const { json } = await b2c(many.map(({ number }) => number));
    const decimals = new Set<number>();
    for (const { Shipment } of json.ShipmentData) {
      const times: string[] = Shipment.Scans.map(
        (scan: { ScanDetail: { ScanDateTime: string } }) => scan.ScanDetail.ScanDateTime,
      );
      const epochs = times.map((time) => Date.parse(`${time}+05:30`));
      expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
      expect(Math.max(...epochs)).toBeLessThanOrEqual(Date.now());
      expect(Shipment.Status.StatusDateTime).toBe(times.at(-1));
      const truth = parcels.truth(Shipment.AWB);
      expect(Math.abs((epochs.at(-1) as number) - (truth.at as number))).toBeLessThan(1001);
      for (const time of times) {
        expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?$/);
        decimals.add(time.split('.')[1]?.length ?? 0);
      }
    }
    expect([...decimals].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('fills PickUpDate when it is booked and PickedupDate when it is picked up', async () => {
    const { b2c, parcels } = await courierTest();
    const young = parcels.add({ api: 'delhivery-b2c', life: 'notPicked', bookedAt: Date.now() - DAY * 3 });
    const old = parcels.add({ api: 'delhivery-b2c', life: 'delivered', bookedAt: Date.now() - DAY * 9 });
    const shipment = async (number: string) => (await b2c([number])).json.ShipmentData[0].Shipment;
    expect(await shipment(young.number)).toMatchObject({
      PickUpDate: expect.any(String),
      PickedupDate: null,
      Status: { Status: 'Not Picked', StatusCode: 'X-PNP' },
    });
    const delivered = await shipment(old.number);
    expect(delivered.PickUpDate).toBe(delivered.PickedupDate);
    expect(delivered).toMatchObject({
      ReferenceNo: `ORD-${old.number}`,
      DispatchCount: 1,
      DeliveryDate: expect.any(String),
      FirstAttemptDate: expect.any(String),
      RTOStartedDate: null,
      Status: { StatusType: 'DL', Status: 'Delivered', StatusCode: 'EOD-38' },
    });
  });

  it('tells a failed attempt by its code alone, and a return by its type', async () => {
    const { b2c, parcels } = await courierTest();
    const many = parcels.addMany({ api: 'delhivery-b2c', count: 50, mix: { ndr: 1, rto: 1 }, days: 14 });
    const { json } = await b2c(many.map(({ number }) => number));
    const seen = new Set<string>();
    for (const { Shipment } of json.ShipmentData) {
      const { Status: status } = Shipment;
      const { event, status: canonical } = parcels.truth(Shipment.AWB);
      seen.add(`${event}`);
      if (event === 'failedAttempt') {
        expect(status).toMatchObject({ StatusType: 'UD', Status: 'Pending' });
        expect(status.StatusCode).toMatch(/^EOD-\d+$/);
        expect(canonical).toBe('ndr');
      }
      if (canonical === 'rto_in_transit') {
        expect(status.StatusType).toBe('RT');
        expect(Shipment).toMatchObject({ ReverseInTransit: true, ReturnedDate: null });
        expect(Shipment.RTOStartedDate).not.toBeNull();
      }
      if (canonical === 'rto') expect(status).toMatchObject({ StatusType: 'DL', Status: 'RTO' });
    }
    expect([...seen]).toEqual(expect.arrayContaining(['failedAttempt', 'rtoDelivered', 'delivered']));
  });

  it('serves the recorded parcels as they were recorded', async () => {
    const { b2c, parcels } = await courierTest();
    parcels.put(recordedParcels());
    const files = ['delhivery-b2c.in-transit', 'delhivery-b2c.cancelled-before-pickup.verbose2'];
    for (const file of files) {
      const answer = recorded(file);
      const { AWB } = answer.ShipmentData[0].Shipment;
      expect((await b2c([AWB], '&verbose=2')).json).toEqual(answer);
    }
    const { Scans: _, Consignee: __, ...bare } = recorded(files[1] as string).ShipmentData[0].Shipment;
    expect((await b2c([bare.AWB], '&verbose=0')).json.ShipmentData[0].Shipment).toEqual(bare);
  });
});
