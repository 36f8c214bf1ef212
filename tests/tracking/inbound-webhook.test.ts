import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { scansOf } from '../../sandbox/couriers/lives.ts';
import { LIVES, type Parcel as Lived } from '../../sandbox/couriers/model.ts';
import { createParcels } from '../../sandbox/couriers/parcels.ts';
import b2b from '../../src/tracking/couriers/delhivery-b2b.ts';
import b2c from '../../src/tracking/couriers/delhivery-b2c.ts';
import fallback from '../../src/tracking/couriers/delhivery-fallback.ts';
import shiprocket from '../../src/tracking/couriers/shiprocket.ts';
import { evaluateScan, type Parcel } from '../../src/tracking/engine/evaluate.ts';
import type { Status } from '../../src/tracking/engine/status.ts';
import { couriers } from '../../src/tracking/registry.ts';
import type { Courier, NumberedScan, Scan } from '../../src/tracking/toolkit/courier.ts';
import { at, junk, NOW, PERSONAL, recorded } from './couriers/reading.ts';

// biome-ignore lint/suspicious/noExplicitAny: couriers of any settings
type AnyCourier = Courier<any>;
const AWB = '57930810000081';
const read = (courier: AnyCourier, body: unknown, now = NOW): NumberedScan[] =>
  courier.webhook?.read(body, now) ?? [];
/** The one scan of a body. */
function scan(courier: AnyCourier, body: unknown, now = NOW): Scan {
  const [one, ...more] = read(courier, body, now);
  if (!one || more.length > 0) throw new Error(`${more.length + 1} scans`);
  expect(one[0]).toBe(AWB);
  return one[1];
}

interface Said {
  type?: unknown;
  status?: unknown;
  code?: unknown;
  [field: string]: unknown;
}
/** Delhivery's own example with other values. */
function scanPush({ type, status, code, ...fields }: Said = {}) {
  const body = recorded('delhivery-b2c.webhook.scan-push.json');
  Object.assign(body.Shipment, { AWB, NSLCode: code ?? body.Shipment.NSLCode, ...fields });
  if (type !== undefined) body.Shipment.Status.StatusType = type;
  if (status !== undefined) body.Shipment.Status.Status = status;
  return body;
}
/** Shiprocket's own example with other values. */
const webhook = (fields: Said = {}) => ({
  ...recorded('shiprocket.webhook.in-transit.json'),
  awb: AWB,
  ...fields,
});

test('C14: couriers that share an address share headers and secret, and all have the secret’s setting', () => {
  const pushing = couriers.filter(({ webhook }) => webhook);
  expect(pushing.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['delhivery-b2b', 'delhivery-b2c', 'delhivery-fallback', 'shiprocket']),
  );
  for (const { webhook, settings } of pushing) {
    expect(Object.keys(settings)).toContain(webhook?.secret);
    const same = pushing.filter((other) => other.webhook?.paths[0] === webhook?.paths[0]);
    for (const other of same) expect({ ...other.webhook, read: 0 }).toEqual({ ...webhook, read: 0 });
  }
});

test('C14: Shiprocket takes no address with its own name, "sr" or "kr" in it: one of its paths has none', () => {
  const fine = shiprocket.webhook?.paths.filter(
    (path) => !/shiprocket|kartrocket|sr|kr/.test(`/webhooks/${path}`),
  );
  expect(fine).toEqual(['parcels-in']);
});

describe('C14: Delhivery’s scan push', () => {
  test('its own example, as it is', () => {
    const [[number, said] = []] = read(b2c, recorded('delhivery-b2c.webhook.scan-push.json'));
    expect(number).toBe('REDACTED');
    expect(said).toEqual({
      is: 'scan',
      rawStatus: 'UD-MANIFESTED',
      courierStatus: 'ud-manifested',
      means: 'unchanged',
      at: at('2019-01-09T17:10:42.767'),
      reference: '28',
      pickedUpAt: null,
      deliveredAt: null,
      rtoStartedAt: null,
    });
  });

  // type, status, code → B2C and fallback, B2B; the official list of what is pushed (both chapters)
  test.each<[string, string, string, string, string]>([
    ['UD', 'Manifested', 'X-UCI', 'unchanged', 'pending'],
    ['UD', 'Not Picked', 'X-PNP', 'pending', 'pending'],
    ['UD', 'Not Picked', 'DTUP-210', 'booking_cancelled', 'booking_cancelled'],
    ['UD', 'In Transit', 'X-PPOM', 'in_transit', 'in_transit'],
    ['UD', 'Pending', 'X-IBD3F', 'in_transit', 'in_transit'],
    ['UD', 'Pending', 'EOD-11', 'ndr', 'ndr'],
    ['UD', 'Dispatched', 'X-DDD3FD', 'out_for_delivery', 'out_for_delivery'],
    ['DL', 'Delivered', 'EOD-38', 'delivered', 'delivered'],
    ['RT', 'In Transit', 'X-ILL1F', 'rto_in_transit', 'rto_in_transit'],
    ['RT', 'Pending', 'X-IBD3F', 'rto_in_transit', 'rto_in_transit'],
    ['RT', 'Dispatched', 'X-DDD3FD', 'rto_in_transit', 'rto_in_transit'],
    ['DL', 'RTO', 'EOD-38', 'rto', 'rto'],
    ['PP', 'Open', 'X', 'unchanged', 'unchanged'],
    ['PU', 'In Transit', 'X', 'unchanged', 'unchanged'],
    ['DL', 'DTO', 'X', 'unchanged', 'unchanged'],
    ['CN', 'Canceled', 'X', 'booking_cancelled', 'booking_cancelled'],
    ['LT', 'Lost', 'X', 'lost', 'lost'],
  ])('%s %s (%s): %s, of B2B %s', (type, status, code, means, ofB2b) => {
    const body = scanPush({ type, status, code });
    expect(scan(b2c, body).means).toBe(means);
    expect(scan(fallback, body).means).toBe(means);
    expect(scan(b2b, body).means).toBe(ofB2b);
  });

  test('C6: a word that no table has is none; of B2B it is found again when it is replayed', () => {
    const said = scan(b2b, scanPush({ type: 'RT', status: 'Delivered' }));
    expect(said).toMatchObject({ rawStatus: 'RT-DELIVERED', means: undefined });
    expect(b2b.meaning('RT-IN_TRANSIT')).toBe('rto_in_transit');
    expect(b2b.meaning('RT-DELIVERED')).toBeUndefined();
  });

  test('C4: the planned pickup of a push is no pickup; a PickedupDate is one', () => {
    const moved = { type: 'UD', status: 'In Transit' };
    expect(scan(b2c, scanPush(moved)).pickedUpAt).toBeNull();
    expect(scan(b2c, scanPush({ ...moved, PickedupDate: '2019-01-10T09:00:00' })).pickedUpAt).toEqual(
      at('2019-01-10T09:00:00'),
    );
    const today = { PickUpDate: '2026-09-10 08:00:00', type: 'UD', status: 'Pending', code: 'X-IBD3F' };
    expect(scan(b2c, scanPush(today)).means).toBe('pending');
  });

  test('C8: the reference goes with it', () => {
    for (const courier of [b2c, b2b])
      expect(scan(courier, scanPush({ ReferenceNo: null })).reference).toBeNull();
    expect(scan(b2b, scanPush({ ReferenceNo: 'R' })).reference).toBe('R');
  });

  test('one scan, a list of scans, the form of the API’s answers; what cannot be read spoils nothing beside it', () => {
    const [one, other] = [scanPush(), scanPush({ AWB: '2' })];
    const numbers = (body: unknown) => read(b2c, body).map(([number]) => number);
    expect(numbers(one)).toEqual([AWB]);
    expect(numbers([one, null, { Shipment: { AWB: '3' } }, scanPush({ AWB: {} }), other])).toEqual([
      AWB,
      '2',
    ]);
    expect(numbers({ ShipmentData: [one, other] })).toEqual([AWB, '2']);
    for (const none of [null, 7, 'Delivered', [], {}, { Shipment: [] }, webhook()])
      expect(numbers(none)).toEqual([]);
  });
});

describe('C14: Shiprocket’s webhook', () => {
  test('its own example: the shipment’s status, not the order’s', () => {
    expect(scan(shiprocket, webhook())).toEqual({
      is: 'scan',
      rawStatus: 'ID_18',
      courierStatus: 'IN TRANSIT',
      means: 'in_transit',
      at: at('2023-05-23T11:43:52'),
      deliveredAt: null,
    });
  });

  // shipment_status_id beside words that are none; the ids of orders' statuses mean other things
  test.each<[number, number, string]>([
    [5, 21, 'pending'],
    [42, 51, 'in_transit'],
    [6, 6, 'in_transit'],
    [17, 19, 'out_for_delivery'],
    [21, 36, 'ndr'],
    [7, 7, 'delivered'],
    [9, 15, 'rto_in_transit'],
    [10, 16, 'rto'],
    [8, 5, 'booking_cancelled'],
    [12, 33, 'lost'],
    [25, 40, 'destroyed'],
  ])('shipment %i (order %i): %s', (id, orderId, means) => {
    const ids = { shipment_status_id: id, current_status_id: orderId };
    expect(scan(shiprocket, webhook({ current_status: null, shipment_status: '', ...ids }))).toMatchObject({
      rawStatus: `ID_${id}`,
      means,
    });
  });

  test.each([
    ['OUT FOR DELIVERY', 'out_for_delivery'],
    ['Delivered', 'delivered'],
    ['RTO Initiated', 'rto_in_transit'],
    ['RTO DELIVERED', 'rto'],
    ['Undelivered', 'ndr'],
    ['CANCELED', 'booking_cancelled'],
    ['Held by a dragon', undefined],
  ])('%s: %s', (current_status, means) => {
    const none = { shipment_status: 'NA', shipment_status_id: 0 };
    expect(scan(shiprocket, webhook({ ...none, current_status })).means).toBe(means);
    // an id of its own that no table has says nothing either
    const strange = { shipment_status: current_status, shipment_status_id: 999, current_status: 'New' };
    expect(scan(shiprocket, webhook(strange)).means).toBe(means);
  });

  // the parcel's id, its word, the order's word: what is known first counts
  test.each<[{ id?: number; word?: string; order?: string }, string, Status | undefined, string]>([
    [{ id: 7, word: 'DELIVERED', order: 'SHIPPED' }, 'ID_7', 'delivered', 'DELIVERED'],
    [{ id: 21, word: 'UNDELIVERED', order: 'UNDELIVERED-1ST ATTEMPT' }, 'ID_21', 'ndr', 'UNDELIVERED'],
    [{ word: 'DELIVERED', order: 'SHIPPED' }, 'DELIVERED', 'delivered', 'DELIVERED'],
    [
      { id: 999, word: 'OUT FOR DELIVERY', order: 'PICKED UP' },
      'OUT_FOR_DELIVERY',
      'out_for_delivery',
      'OUT FOR DELIVERY',
    ],
    [{ word: 'BEAMED UP', order: 'DELIVERED' }, 'DELIVERED', 'delivered', 'BEAMED UP'],
    [{ id: 17, order: 'UNDELIVERED' }, 'ID_17', 'out_for_delivery', 'UNDELIVERED'],
    [{ id: 17 }, 'ID_17', 'out_for_delivery', '17'],
    // none is known: the parcel's own word is kept
    [{ id: 999, word: 'BEAMED UP', order: 'NEW' }, 'BEAMED_UP', undefined, 'BEAMED UP'],
    [{ id: 999, order: 'NEW' }, 'NEW', undefined, 'NEW'],
    [{ id: 999 }, 'ID_999', undefined, '999'],
  ])('%j: %s, %s', ({ id = 0, word, order }, kept, means, courierStatus) => {
    const body = webhook({ shipment_status_id: id, shipment_status: word, current_status: order });
    expect(scan(shiprocket, body)).toMatchObject({ rawStatus: kept, means, courierStatus });
  });

  test.each([null, {}, [], [{}], '', 'test webhook ping', { awb: '' }, { message: 'test' }])(
    'its test of the address: %j',
    (body) => {
      expect(shiprocket.webhook?.isTest?.(body)).toBe(true);
      expect(read(shiprocket, body)).toEqual([]);
    },
  );
  test('what names a parcel is no test, also without a status', () => {
    for (const body of [webhook(), { awb: 59629792084 }, [{}, { awb: '1' }]])
      expect(shiprocket.webhook?.isTest?.(body)).toBe(false);
  });

  test('without a time of its own the newest scan’s; without a number or a status nothing', () => {
    expect(scan(shiprocket, webhook({ current_timestamp: 'NA' })).at).toEqual(at('2023-05-19T11:59:16'));
    const nothing = { current_status: '', shipment_status: 'NA', shipment_status_id: 0 };
    for (const none of [
      webhook({ awb: '' }),
      webhook({ awb: null }),
      webhook(nothing),
      scanPush(),
      'x',
      null,
    ])
      expect(read(shiprocket, none)).toEqual([]);
    expect(read(shiprocket, [webhook(), webhook({ awb: '2' })])).toHaveLength(2);
  });
});

describe('R4: hostile bodies', () => {
  /** A body with some of its values, at any depth, replaced by junk. */
  const mutated = (body: unknown): fc.Arbitrary<unknown> => {
    if (typeof body !== 'object' || body === null) return fc.constant(body);
    if (Array.isArray(body)) return fc.tuple(...body.map(mutated));
    const fields = Object.entries(body).map(([name, value]) => [
      name,
      fc.oneof({ weight: 5, arbitrary: mutated(value) }, { weight: 1, arbitrary: junk }),
    ]);
    return fc.record(Object.fromEntries(fields), { requiredKeys: [] });
  };
  const person = { Consignee: { Name: PERSONAL[0], Telephone1: PERSONAL[1] }, Instructions: PERSONAL[2] };
  const bodies = fc.oneof(
    fc.jsonValue({ maxDepth: 4 }),
    mutated(scanPush({ type: 'DL', status: 'Delivered', ...person })),
    mutated([scanPush(), scanPush({ type: 'RT', status: 'Pending', ...person })]),
    mutated(webhook({ pod: PERSONAL[3] })),
  );
  /** What the words of the table above mean, written down again by hand. */
  const KNOWN: Record<string, string[]> = {
    'DL-DELIVERED': ['delivered'],
    'RT-PENDING': ['rto_in_transit'],
    'UD-MANIFESTED': ['unchanged', 'pending'],
    IN_TRANSIT: ['in_transit'],
    ID_18: ['in_transit'],
    DELIVERED: ['delivered'],
  };

  test('nothing throws, no person’s data comes out, and no word that is not known gets a status', () => {
    const strange = new Set<string>();
    fc.assert(
      fc.property(fc.constantFrom<AnyCourier>(b2c, b2b, fallback, shiprocket), bodies, (courier, body) => {
        for (const [number, said] of read(courier, body)) {
          expect(number).toMatch(/^[^\p{Cc}\p{Cs}]{1,200}$/u);
          expect(said.rawStatus).toMatch(/^[\p{L}\p{N}_-]{1,130}$/u);
          expect(said.courierStatus).not.toMatch(/[\p{Cc}\p{Cs}]/u);
          if (said.means === undefined) strange.add(said.rawStatus);
          // junk holds "Delivered" and "DL" as well: such pairs mean what they say
          else if (said.rawStatus in KNOWN) expect(KNOWN[said.rawStatus]).toContain(said.means);
          else expect(said.rawStatus).toMatch(/^(UD|RT|DL|LT)-|^[A-Z_]+$|^ID_\d+$/);
          for (const secret of PERSONAL) expect(JSON.stringify([number, said])).not.toContain(secret);
          const other: Parcel = { ...PARCEL, orderNumber: 'NOBODY-HAS-THIS' };
          if (said.reference?.trim()) expect(evaluateScan(other, said, NOW, new Map()).is).toBe('mismatched');
        }
      }),
      { numRuns: 3_000 },
    );
    expect(strange.size).toBeGreaterThan(0);
  });

  test('deep lists and long texts', () => {
    const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    for (const courier of [b2c, b2b, shiprocket]) expect(read(courier, deep)).toEqual([]);
    const long = scanPush({ status: 'x'.repeat(200_000), ReferenceNo: 'y'.repeat(200_000) });
    expect(JSON.stringify(scan(b2c, long)).length).toBeLessThan(1_000);
  });
});

const PARCEL: Parcel = {
  id: 'a',
  orderId: 'o',
  number: AWB,
  orderNumber: `ORD-${AWB}`,
  source: 'shopify',
  bookedAt: NOW,
  status: 'pending',
  statusAt: null,
  statusSeen: {},
  courierStatus: null,
  unmappedWord: null,
  pickedUpAt: null,
  deliveredAt: null,
  rtoStartedAt: null,
  linkedTo: null,
  link: null,
};

/** What is taken out of the sandbox's bodies to make the answer of the same moment. */
interface ShiprocketPush {
  awb: string;
  current_status: string;
  shipment_status_id: number;
  scans: unknown[];
}
interface DelhiveryPush {
  Shipment: { NSLCode: string; PickUpDate: string; Status: Record<string, unknown> };
}

describe('C7, C14: pushes and polls of one parcel', () => {
  const DAY = 86_400_000;
  /** The moment at which the sandbox tells of a parcel. */
  const clock = { offsetMs: 0, now: () => clock.offsetMs };
  const parcels = createParcels(clock, 1);

  /** What the API would have answered at that moment, made from what it pushed. */
  function polled(lived: Lived, moment: number): Scan | undefined {
    clock.offsetMs = moment;
    const body = parcels.push(lived.number) as (ShiprocketPush & DelhiveryPush) | undefined;
    if (body === undefined) return undefined; // a late one, which the API does not know yet
    const answer = (value: unknown) => ({ status: 200, headers: {}, text: JSON.stringify(value) });
    const pickup = scansOf(lived, moment).some(({ event }) => event === 'pickedUp');
    const result =
      lived.api === 'shiprocket'
        ? shiprocket.read(
            answer({
              [lived.number]: {
                tracking_data: {
                  shipment_status: body.shipment_status_id,
                  shipment_track: [{ awb_code: body.awb, current_status: body.current_status }],
                  shipment_track_activities: body.scans.toReversed(),
                },
              },
            }),
            [lived.number],
            moment,
          )
        : b2c.read(
            answer({
              ShipmentData: [
                {
                  Shipment: {
                    ...body.Shipment,
                    Status: { ...body.Shipment.Status, StatusCode: body.Shipment.NSLCode },
                    PickedupDate: pickup ? body.Shipment.PickUpDate.replace(' ', 'T') : null,
                  },
                },
              ],
            }),
            [lived.number],
            moment,
          );
    if (!result.ok) throw new Error(result.failure.message);
    const item = result.value.get(lived.number);
    return item?.is === 'scan' ? item : undefined;
  }
  function pushed(lived: Lived, moment: number): Scan | undefined {
    clock.offsetMs = moment;
    return read(lived.api === 'shiprocket' ? shiprocket : b2c, parcels.push(lived.number), moment)[0]?.[1];
  }
  function hear(parcel: Parcel, item: Scan | undefined, now: number): Parcel {
    const verdict = evaluateScan(parcel, item, now, new Map());
    if (!('update' in verdict) || !verdict.update) return parcel;
    const { status, at: statusAt, seen: statusSeen, courierStatus } = verdict.update;
    return { ...parcel, status, statusAt, statusSeen, courierStatus };
  }

  // without a scan there is nothing to hear; a word that no table has leaves what was heard before (C6)
  const lives = LIVES.filter((life) => !['neverFound', 'strangeWord', 'sameDay'].includes(life));
  /** Which scans are pushed and which are polled, in any order, some twice, some never, some a day late. */
  const hearings = fc.array(
    fc.record({ scan: fc.nat(), by: fc.constantFrom('push', 'poll'), late: fc.constantFrom(0, 1_000, DAY) }),
    { maxLength: 25 },
  );
  const story = fc.record({
    api: fc.constantFrom('delhivery-b2c' as const, 'shiprocket' as const),
    life: fc.constantFrom(...lives),
    seed: fc.nat(),
    told: fc.nat(),
    hearings,
  });

  test('in any order, repeated, late or lost: what is polled last and what is pushed last end alike', () => {
    let changes = 0;
    fc.assert(
      fc.property(story, ({ api, life, seed, told, hearings }) => {
        parcels.clear();
        clock.offsetMs = NOW;
        const lived = parcels.add({ api, number: AWB, bookedAt: NOW, life, seed });
        const whole = scansOf(lived, NOW + 60 * DAY);
        // its life so far
        const scans = whole.slice(0, 1 + (told % whole.length));
        const end = (scans.at(-1)?.at ?? 0) + 1;
        const truth = parcels.truth(AWB, end).status;
        let parcel = PARCEL;
        for (const { scan, by, late } of hearings) {
          const moment = scans[scan % scans.length]?.at ?? 0;
          parcel = hear(parcel, by === 'push' ? pushed(lived, moment) : polled(lived, moment), moment + late);
        }
        // the last scan is heard of: by a poll days later, or by its push
        const late = end + 3 * DAY;
        const byPoll = hear(parcel, polled({ ...lived }, end), late);
        const byPush = hear(parcel, pushed(lived, end), late);
        expect([byPoll.status, byPush.status]).toEqual([truth, truth]);
        // and by both, in either order
        expect(hear(byPoll, pushed(lived, end), late).status).toBe(truth);
        expect(hear(byPush, polled(lived, end), late).status).toBe(truth);
        if (truth !== 'pending') changes++;
      }),
      { numRuns: 1_000 },
    );
    expect(changes).toBeGreaterThan(300);
  });
});
