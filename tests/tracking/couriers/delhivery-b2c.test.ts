import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import courier from '../../../src/tracking/couriers/delhivery-b2c.ts';
import { describeCourier } from './four.ts';
import { at, connect, failure, items, junk, NOW, recorded, rows, scan } from './reading.ts';

const AWB = '57930810000081';
interface Parcel {
  AWB?: unknown;
  type?: unknown;
  status?: unknown;
  code?: unknown;
  time?: unknown;
  [field: string]: unknown;
}
/** The recorded parcel with other values. */
function parcel({ type, status, code, time, ...fields }: Parcel) {
  const { Shipment } = recorded('delhivery-b2c.manifested.verbose0.json').ShipmentData[0];
  Object.assign(Shipment, fields);
  if (type !== undefined) Shipment.Status.StatusType = type;
  if (status !== undefined) Shipment.Status.Status = status;
  if (code !== undefined) Shipment.Status.StatusCode = code;
  if (time !== undefined) Shipment.Status.StatusDateTime = time;
  return { Shipment };
}
const answer = (...parcels: Parcel[]) => ({ ShipmentData: parcels.map(parcel) });
const means = (fields: Parcel, now = NOW) => scan(courier, answer(fields), AWB, { now }).means;

const key = { DELHIVERY_AUTH_TOKEN_B2C: 'abc' };

describeCourier(courier, {
  request: [
    {
      env: key,
      numbers: ['1', 'A B', '3'],
      sends: {
        url: 'https://track.delhivery.com/api/v1/packages/json/?waybill=1,A+B,3&verbose=0',
        method: 'GET',
      },
      secrets: [{ authorization: 'Token secret' }],
    },
    // at another address, which may have a query
    {
      env: { ...key, DELHIVERY_URL: 'http://127.0.0.1:9/track?x=1' },
      numbers: ['1'],
      sends: { url: 'http://127.0.0.1:9/track?x=1&waybill=1&verbose=0' },
    },
  ],
  off: [{ DELHIVERY_AUTH_TOKEN_B2C: 'Token' }],
  rhythm: {
    batch: 50,
    mostPerRun: 36_000,
    everyMs: 480_000,
    limit: { max: 7, seconds: 3 },
    atOnce: 10,
    selection: { courier: 'delhivery', sources: 'primary', number: 'awb' },
  },
  read: [
    {
      what: 'a recorded parcel in transit, with scans and consignee',
      body: recorded('delhivery-b2c.in-transit.json'),
      asked: ['26805710004126'],
      says: {
        26805710004126: {
          is: 'scan',
          rawStatus: 'UD-IN_TRANSIT',
          courierStatus: 'ud-in_transit',
          means: 'in_transit',
          at: at('2024-09-22T09:25:10.124'),
          reference: '2245',
          pickedUpAt: at('2024-09-21T18:10:52'),
          deliveredAt: null,
          rtoStartedAt: null,
        },
      },
    },
  ],
  errors: [
    // C11: a refused token
    ...[
      { detail: 'Authentication credentials were not provided.' },
      { Error: 'Login or API Key Required' },
      'There has been an error but we were asked to not let you see that. Please contact the dev team.',
    ].map((body) => [body, 400, 'credentials'] as const),
    ['<html><body>Bad Gateway</body></html>', 200, 'malformed'],
    ['<html><body>Not Found</body></html>', 404, 'malformed'],
    ['', 200, 'malformed'],
    ['{"ShipmentData":[', 200, 'malformed'],
    ['null', 200, 'malformed'],
    [{}, 200, 'malformed'],
    [{ ShipmentData: {} }, 200, 'malformed'],
    [{ ShipmentData: [null, 7, 'x', []] }, 200, 'malformed'],
    [
      { ShipmentData: [{ Shipment: null }, { Shipment: { AWB: {}, Status: 'Delivered' } }] },
      200,
      'malformed',
    ],
    [{ location: 'elsewhere' }, 302, 'malformed'],
  ],
  hostile: (number) => {
    const status = fc.record({ Status: junk, StatusType: junk, StatusCode: junk, StatusDateTime: junk });
    const shipment = fc.record({
      AWB: fc.oneof(fc.constant(number), junk),
      Status: fc.oneof(status, junk),
      PickedupDate: junk,
      ReferenceNo: junk,
    });
    return fc.record({
      ShipmentData: fc.oneof(junk, fc.array(fc.record({ Shipment: fc.oneof(junk, shipment) }))),
    });
  },
  persons: ([name, phone, street, mail, longitude]) =>
    answer({
      Consignee: { Name: name, Telephone1: phone, Address1: [street] },
      SenderName: mail,
      Scans: [{ ScanDetail: { Scan: name, geo_location: { long: longitude }, Instructions: phone } }],
    }),
  askedInPersons: [AWB],
  statuses: [
    {
      words: rows(`
        unchanged: UD/Manifested
        booking_cancelled: CN/Canceled CN/Closed
        in_transit: UD/In_Transit
        out_for_delivery: UD/Dispatched
        delivered: DL/Delivered
        rto: DL/RTO
        rto_in_transit: RT/In_Transit RT/Pending RT/Dispatched
        unchanged: DL/DTO PP/Open PP/Scheduled PP/Dispatched PU/In_Transit PU/Pending PU/Dispatched PU/Collected
        lost: LT/Lost
      `),
      number: AWB,
      bodies: (pair) => {
        const [type, word = ''] = pair.split('/');
        return [answer({ type, status: word.replaceAll('_', ' '), code: 'X-ANY' })];
      },
      // courier_status is {type}-{status} in lower case with underscores
      kept: (pair) => ({
        rawStatus: pair.toUpperCase().replace('/', '-'),
        courierStatus: pair.toLowerCase().replace('/', '-'),
      }),
    },
  ],
});

describe('C4: StatusType, then Status', () => {
  test('every pair of the recorded vocabulary is known', () => {
    for (const { statusType, status } of recorded('delhivery-b2c.status-vocabulary.json'))
      expect(means({ type: statusType, status }), `${statusType}/${status}`).toBeDefined();
  });

  test('C6: an unknown pair is kept as it came, whatever its parts mean elsewhere', () => {
    const strange = scan(courier, answer({ type: 'RT', status: 'Delivered' }), AWB);
    expect(strange).toMatchObject({
      rawStatus: 'RT-DELIVERED',
      courierStatus: 'rt-delivered',
      means: undefined,
    });
    expect(scan(courier, answer({ type: null, status: 'In Transit' }), AWB)).toMatchObject({
      rawStatus: 'IN_TRANSIT',
      means: undefined,
    });
    expect(means({ type: 'UD', status: 'Teleported' })).toBeUndefined();
  });
});

describe('C4: UD/Pending', () => {
  const pending = { type: 'UD', status: 'Pending', code: 'X-IBD3F' };
  test('picked up before today in India: in_transit, else pending', () => {
    const picked = { ...pending, PickedupDate: '2026-09-09T23:59:59.999' };
    expect(means(picked)).toBe('in_transit');
    // 18:29:59.999 UTC of the 9th still is the 9th
    expect(means(picked, Date.parse('2026-09-09T18:29:59.999Z'))).toBe('pending');
    expect(means(picked, Date.parse('2026-09-09T18:30:00Z'))).toBe('in_transit');
    expect(means({ ...pending, PickedupDate: '2026-09-10T00:00:00' })).toBe('pending');
  });
  test('PickUpDate is the day of booking: with PickedupDate null the parcel was never picked up', () => {
    expect(means({ ...pending, PickUpDate: '2026-09-01T10:00:00', PickedupDate: null })).toBe('pending');
  });
  test('PickUpDate counts in answers that have no PickedupDate, an older form', () => {
    const old = answer({ ...pending, PickUpDate: '2026-09-01T10:00:00' });
    delete old.ShipmentData[0]?.Shipment.PickedupDate;
    expect(scan(courier, old, AWB).means).toBe('in_transit');
    expect(scan(courier, old, AWB, { now: Date.parse('2026-09-01T23:00:00+05:30') }).means).toBe('pending');
  });
  test.each([
    'EOD-74',
    'EOD-15',
    'EOD-104',
    'EOD-43',
    'EOD-86',
    'EOD-11',
    'EOD-69',
    'EOD-6',
    'EOD-3',
    'EOD-16',
    'ST-108',
    ' eod-11 ',
  ])('a failed attempt (%s) is an ndr', (code) => {
    expect(means({ ...pending, code, PickedupDate: '2026-09-01T10:00:00' })).toBe('ndr');
  });
  test.each(['EOD-38', 'EOD-777', 'EOD-21', 'ST-114', 'X-IBD3F', '', null, 7, {}])('%j is none', (code) => {
    expect(means({ ...pending, code, PickedupDate: '2026-09-01T10:00:00' })).toBe('in_transit');
  });
  test('under RT a code changes nothing', () => {
    expect(means({ type: 'RT', status: 'Pending', code: 'EOD-11' })).toBe('rto_in_transit');
  });
});

describe('C4: UD/Not Picked, by its code', () => {
  test.each([
    ['DTUP-210', 'booking_cancelled'],
    ['DTUP-203', 'booking_cancelled'],
    ['X-PNP', 'pending'],
    ['X-NEW', 'pending'],
    // older answers have no code
    [null, 'booking_cancelled'],
  ])('%s: %s', (code, status) => {
    expect(means({ type: 'UD', status: 'Not Picked', code })).toBe(status);
  });
});

describe('recorded answers', () => {
  test.each(['verbose0', 'verbose2'])('cancelled before the pickup (%s)', (verbose) => {
    const body = recorded(`delhivery-b2c.cancelled-before-pickup.${verbose}.json`);
    expect(scan(courier, body, '57930810000066')).toMatchObject({
      courierStatus: 'ud-not_picked',
      means: 'booking_cancelled',
      at: at('2026-08-24T23:58:39.774'),
      // the day of booking is no pickup
      pickedUpAt: null,
    });
  });
  test('manifested', () => {
    const body = recorded('delhivery-b2c.manifested.verbose0.json');
    expect(scan(courier, body, AWB)).toMatchObject({
      courierStatus: 'ud-manifested',
      means: 'unchanged',
      at: at('2026-08-29T10:16:56.796'),
      reference: 'CAPTURE-1787978807097',
    });
  });
  test('C9: unknown: of one parcel not found, of several the batch is refused', () => {
    for (const file of ['error.unknown-awb', 'error.ref-ids-unknown']) {
      const body = recorded(`delhivery-b2c.${file}.json`);
      for (const status of [200, 400]) {
        expect(items(courier, body, [AWB], { status })[AWB]?.is).toBe('notFound');
        expect(failure(courier, body, [AWB, '2'], { status }).kind).toBe('rejected');
      }
    }
  });
});

describe('milestones', () => {
  test('delivered: DeliveryDate, else the time of the scan', () => {
    const delivered = {
      type: 'DL',
      status: 'Delivered',
      time: '2026-09-09T15:41:00',
      PickedupDate: '2026-09-07T09:00:00',
    };
    expect(scan(courier, answer({ ...delivered, DeliveryDate: '2026-09-09T15:40:00' }), AWB)).toMatchObject({
      pickedUpAt: at('2026-09-07T09:00:00'),
      deliveredAt: at('2026-09-09T15:40:00'),
    });
    expect(scan(courier, answer(delivered), AWB).deliveredAt).toEqual(at('2026-09-09T15:41:00'));
    // an expected date is no delivery
    expect(
      scan(
        courier,
        answer({ ...delivered, type: 'UD', status: 'Dispatched', DeliveryDate: '2026-09-09T15:40:00' }),
        AWB,
      ).deliveredAt,
    ).toBeNull();
  });
  test('on its way back, also when Status says Pending', () => {
    const back = {
      type: 'RT',
      status: 'Pending',
      ReverseInTransit: true,
      RTOStartedDate: '2026-09-08T10:00:00',
    };
    expect(scan(courier, answer(back), AWB)).toMatchObject({
      means: 'rto_in_transit',
      rtoStartedAt: at('2026-09-08T10:00:00'),
    });
  });
});

describe('C4, R3: items', () => {
  test('are matched by number, in any case, never by position; what was not asked is ignored', () => {
    const body = answer(
      { AWB: 'B', status: 'In Transit' },
      { AWB: 'X' },
      { AWB: ' a ', type: 'DL', status: 'RTO' },
    );
    expect(items(courier, body, ['A', 'b', 'C'])).toMatchObject({
      A: { means: 'rto' },
      b: { means: 'in_transit' },
    });
    expect(Object.keys(items(courier, body, ['A', 'b', 'C']))).toHaveLength(2);
  });
  test('a number that JSON has rounded is nobody’s; a short one is read', () => {
    expect(items(courier, answer({ AWB: 57930810000081 }), [AWB])).toHaveProperty([AWB]);
    const rounded =
      '{"ShipmentData":[{"Shipment":{"AWB":90071992547409931,"Status":{"Status":"RTO","StatusType":"DL"}}}]}';
    expect(failure(courier, rounded, ['90071992547409936']).kind).toBe('malformed');
  });
  test('of two for one number the newer event stays', () => {
    const old = { type: 'UD', status: 'Dispatched', time: '2026-09-01T10:00:00' };
    const young = { type: 'DL', status: 'Delivered', time: '2026-09-02T10:00:00' };
    for (const body of [answer(old, young), answer(young, old)])
      expect(scan(courier, body, AWB).means).toBe('delivered');
  });
  test('C7: of two of one moment the one that is further along stays', () => {
    const out = { type: 'UD', status: 'Dispatched', time: '2026-09-02T10:00:00' };
    const done = { type: 'DL', status: 'Delivered', time: '2026-09-02T10:00:00' };
    for (const body of [answer(out, done), answer(done, out)])
      expect(scan(courier, body, AWB).means).toBe('delivered');
  });
  test.each<[string, unknown]>([
    ['null', null],
    ['a list', []],
    ['a text', 'broken'],
    ['no Shipment', {}],
    ['an empty list as Shipment', { Shipment: [] }],
    ['no AWB', parcel({ AWB: null })],
    ['Status as text', { Shipment: { AWB: 'BAD', Status: 'Delivered' } }],
    ['Status as a list', { Shipment: { AWB: 'BAD', Status: [] } }],
    ['values of wrong types', { Shipment: { AWB: 'BAD', Status: { Status: {}, StatusType: 7 } } }],
  ])('one that is %s costs only itself', (_what, broken) => {
    const body = { ShipmentData: [broken, parcel({ type: 'DL', status: 'Delivered' })] };
    const found = items(courier, body, ['BAD', AWB]);
    expect(found[AWB]).toMatchObject({ means: 'delivered' });
    expect(found.BAD?.is ?? 'notFound').toBe('notFound');
  });
  test('C9: a parcel of a batch that the answer leaves out is left out', () => {
    expect(Object.keys(items(courier, answer({}), [AWB, '2']))).toEqual([AWB]);
    expect(items(courier, { ShipmentData: [] }, [AWB, '2'])).toEqual({});
  });
  test('R4: deep JSON and long texts', () => {
    const deep = `{"ShipmentData":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    expect(failure(courier, deep, [AWB]).kind).toBe('malformed');
    const long = answer({ type: 'UD', status: 'x'.repeat(1_000_000), ReferenceNo: 'y'.repeat(1_000_000) });
    expect(JSON.stringify(scan(courier, long, AWB)).length).toBeLessThan(1_000);
  });
});

describe('answers without parcels', () => {
  test.each<[unknown, number | undefined]>([
    ['Throttled, wait 8 seconds.', 8_000],
    [{ detail: 'Request was throttled. Expected available in 1.5 seconds.' }, 1_500],
    [{ message: 'Too many requests, try again in 2 minutes' }, 120_000],
    [{ Error: 'Throttled' }, undefined],
  ])('C10: %j', (body, retryAfterMs) => {
    expect(failure(courier, body, [AWB, '2'])).toMatchObject({ kind: 'throttled' });
    expect(failure(courier, body, [AWB, '2']).retryAfterMs).toBe(retryAfterMs);
  });
  test.each([
    'ref_ids/ref_nos or waybill cannot be greater than 75',
    'Package handler limit exceeded',
    'Something new',
  ])('C9: a batch that is refused whole can be halved: %s', (text) => {
    for (const status of [200, 400]) {
      expect(failure(courier, { Error: text }, [AWB, '2'], { status })).toMatchObject({ kind: 'rejected' });
      expect(failure(courier, { Error: text }, [AWB], { status }).message).toContain(text);
    }
  });
  test('T18: a sentence is shown without what may be a phone, a mail address or a token', () => {
    const said = { Error: `call 98765 43210 or asha@example.org, key ${'a1'.repeat(20)}` };
    const { message } = failure(courier, said, [AWB]);
    expect(message).toContain('call … or … key …');
  });
});

test('C11: the key, with or without the word Token', () => {
  for (const token of ['abc', 'Token abc', 'token  abc ']) {
    const { access } = connect(courier, { DELHIVERY_AUTH_TOKEN_B2C: token }) ?? {};
    expect(access?.schemes.map((scheme) => scheme(access.key ?? ''))).toEqual([
      { authorization: 'Token abc' },
    ]);
  }
});
