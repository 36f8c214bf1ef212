import { describe, expect, it } from 'vitest';
import delhiveryB2c from '../../sandbox/couriers/apis/delhivery-b2c.ts';
import { COURIERS } from '../../sandbox/couriers/catalogue.ts';
import { scansOf } from '../../sandbox/couriers/lives.ts';
import { type CourierName, LIVES, type LifeName } from '../../sandbox/couriers/model.ts';
import { openApi } from '../../sandbox/couriers/open.ts';
import { createParcels } from '../../sandbox/couriers/parcels.ts';
import { clientOf, courierTest, DAY, HOUR, wordOf } from './couriers.ts';

const NOW = Date.parse('2026-05-20T06:00:00Z');

function standing(now = NOW, speed = 1) {
  const clock = { offsetMs: 0, now: () => now + clock.offsetMs };
  return { clock, parcels: createParcels(clock, speed) };
}

describe("parcels' lives", () => {
  it.each(LIVES)('%s is the same for the same parcel, and its scans only ever grow', (life) => {
    const { parcels } = standing();
    for (const api of COURIERS) {
      const parcel = parcels.add({ api, life, bookedAt: NOW - 30 * DAY });
      const whole = scansOf(parcel, NOW);
      expect(scansOf({ ...parcel }, NOW)).toEqual(whole);
      const times = whole.map(({ at }) => at);
      for (let i = 1; i < times.length; i++)
        expect((times[i] as number) - (times[i - 1] as number)).toBeGreaterThanOrEqual(2000);
      for (const part of [0.1, 0.5, 0.9]) {
        const then = parcel.bookedAt + part * (NOW - parcel.bookedAt);
        expect(whole.slice(0, scansOf(parcel, then).length)).toEqual(scansOf(parcel, then));
      }
    }
  });

  it.each<[LifeName, CourierName, string]>([
    ['delivered', 'delhivery-b2c', 'delivered'],
    ['ndr', 'shiprocket', 'delivered'],
    ['rto', 'velocity', 'rto'],
    ['cancelled', 'delhivery-b2c', 'booking_cancelled'],
    ['notPicked', 'delhivery-b2c', 'pending'],
    ['notPicked', 'delhivery-b2b', 'booking_cancelled'],
    ['lost', 'delhivery-b2b', 'lost'],
    ['destroyed', 'shiprocket', 'destroyed'],
    ['destroyed', 'delhivery-b2c', 'lost'],
    ['foundLate', 'velocity', 'delivered'],
    ['strangeWord', 'delhivery-fallback', 'in_transit'],
    ['manifested', 'delhivery-fallback', 'pending'],
    ['sameDay', 'delhivery-b2b', 'delivered'],
  ])('%s at %s ends as %s', (life, api, status) => {
    const { parcels } = standing();
    const many = parcels.addMany({ api, count: 50, mix: { [life]: 1 }, days: 0 });
    for (const { number } of many)
      expect(parcels.truth(number, NOW + 40 * DAY)).toMatchObject({ known: true, status });
  });

  it('knows a late one after some hours, and a lost number never', () => {
    const { parcels } = standing();
    const late = parcels.add({ api: 'velocity', life: 'foundLate' });
    const never = parcels.add({ api: 'velocity', life: 'neverFound' });
    expect(parcels.truth(late.number, NOW + 7 * HOUR).known).toBe(false);
    expect(parcels.truth(late.number, NOW + 9 * HOUR).known).toBe(true);
    expect(parcels.truth(never.number, NOW + 90 * DAY).known).toBe(false);
  });

  it('goes faster from the moment it was added, not before', () => {
    const { parcels } = standing(NOW, 100);
    const parcel = parcels.add({ api: 'delhivery-b2c', bookedAt: NOW - HOUR });
    const slow = standing(NOW).parcels.add({ api: 'delhivery-b2c', bookedAt: NOW - HOUR });
    const [fastScans, slowScans] = [scansOf(parcel, NOW + 2 * HOUR), scansOf(slow, NOW + 200 * HOUR)];
    expect(fastScans.map(({ event }) => event)).toEqual(slowScans.map(({ event }) => event));
    expect(fastScans[0]?.at).toBe(slowScans[0]?.at);
    const [fast, real] = [fastScans.at(-1)?.at as number, slowScans.at(-1)?.at as number];
    expect(fast - NOW).toBeCloseTo((real - NOW) / 100, -1);
  });

  it('makes the same parcels of the same seed, with the references that are given', () => {
    const spec = { api: 'shiprocket', count: 300, seed: 5 } as const;
    const made = standing().parcels.addMany(spec);
    expect(standing().parcels.addMany(spec)).toEqual(made);
    expect(standing().parcels.addMany({ ...spec, seed: 6 })).not.toEqual(made);
    expect(new Set(made.map(({ life }) => life)).size).toBeGreaterThan(7);
    const { parcels } = standing();
    const [first] = parcels.addMany({ ...spec, count: 2, references: ['A-1', 'A-2'] });
    expect(first?.reference).toBe('A-1');
    expect(() => parcels.add({ api: 'shiprocket', number: first?.number as string })).toThrow(/already/);
    expect(() => parcels.get('nothing')).toThrow(/no courier of the sandbox has a parcel "nothing"/);
  });
});

describe('a word that is set', () => {
  it.each<[CourierName, Parameters<ReturnType<typeof standing>['parcels']['setWord']>[1], string]>([
    ['delhivery-b2c', { status: 'Held At Moon', type: 'LT' }, 'LT/Held At Moon'],
    ['delhivery-b2b', { status: 'PART_DEL' }, 'PART_DEL'],
    ['shiprocket', { status: 'Reached Warehouse', code: 48 }, 'Reached Warehouse'],
    ['velocity', { status: 'need_attention' }, 'need_attention'],
    ['delhivery-fallback', { status: 'Pending', type: 'RT' }, 'RT/Pending'],
    ['delhivery-b2c', { event: 'rtoDelivered' }, 'DL/RTO'],
    ['delhivery-fallback', { event: 'outForDelivery' }, 'UD/Dispatched'],
  ])('is what %s says: %j', async (api, word, said) => {
    const test = await courierTest();
    const { number } = test.parcels.add({ api, bookedAt: Date.now() - DAY });
    test.parcels.setWord(number, word);
    expect(await wordOf(test, api, number)).toBe(said);
    test.sandbox.world.clock.offsetMs += 20 * DAY;
    expect(await wordOf(test, api, number)).toBe(said);
  });

  it.each(COURIERS)('can be taken away, given verbatim and be several at %s', async (api) => {
    const test = await courierTest();
    const { number } = test.parcels.add({ api, bookedAt: Date.now() - DAY });
    expect(await wordOf(test, api, number)).not.toBeNull();
    test.parcels.setWord(number, { unknown: true });
    expect(await wordOf(test, api, number)).toBeNull();
    test.parcels.setWord(number, { event: 'outForDelivery' });
    test.parcels.setWord(number, { event: 'delivered' });
    expect(await wordOf(test, api, number)).toMatch(/delivered/i);
    expect(test.parcels.truth(number)).toMatchObject({ status: 'delivered' });
  });

  it('carries its own time, reference and milestones', async () => {
    const test = await courierTest();
    const { number } = test.parcels.add({ api: 'delhivery-b2c', life: 'manifested' });
    const at = Date.parse('2026-02-22T09:00:00Z');
    test.parcels.setWord(number, {
      status: 'Pending',
      code: 'EOD-11',
      at,
      pickedUpAt: at - DAY,
      reference: 'X-1-C1',
    });
    const { Shipment } = (await test.b2c([number])).json.ShipmentData[0];
    expect(Shipment).toMatchObject({
      ReferenceNo: 'X-1-C1',
      Status: { StatusType: 'UD', Status: 'Pending', StatusCode: 'EOD-11' },
    });
    expect(Date.parse(`${Shipment.Status.StatusDateTime}+05:30`)).toBe(at);
    expect(Date.parse(`${Shipment.PickedupDate}+05:30`)).toBe(at - DAY);
    test.parcels.setWord(number, { raw: { AWB: number, anything: [1] } });
    expect((await test.b2c([number])).json.ShipmentData[0].Shipment).toEqual({ AWB: number, anything: [1] });
  });
});

describe('many parcels', () => {
  it('are found at once: of 36,000 as fast as of 400', () => {
    const medianOf = (count: number) => {
      const { clock, parcels } = standing();
      const many = parcels.addMany({ api: 'delhivery-b2c', count });
      const api = openApi(delhiveryB2c, { clock, parcels });
      const headers = { authorization: `Token ${api.settings.key}` };
      const times: number[] = [];
      for (let i = 0; i < 200; i++) {
        const from = (i * 50) % (count - 50);
        const waybill = many.slice(from, from + 50).map(({ number }) => number);
        const query = new URLSearchParams({ waybill: waybill.join(',') });
        const cpu = process.cpuUsage();
        const answer = api.answer({ kind: 'track', method: 'GET', path: '', query, headers, body: '' });
        const { user, system } = process.cpuUsage(cpu);
        times.push((user + system) / 1000);
        expect(answer.status).toBe(200);
      }
      return times.sort((a, b) => a - b)[100] as number;
    };
    // a look through all of them would take ninety times as long
    expect(medianOf(36_000) / medianOf(400)).toBeLessThan(10);
  });

  it('are there after a clear as if they had never been', async () => {
    const test = await courierTest();
    test.parcels.addMany({ api: 'velocity', count: 10 });
    test.sandbox.couriers.reset();
    expect(test.parcels.size()).toBe(0);
    expect(clientOf(test.sandbox).parcels.list()).toEqual([]);
  });
});
