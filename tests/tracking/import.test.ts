import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { closeDb, createDb, type Db } from '../../src/db/client.ts';
import {
  type DateOrder,
  type Imported,
  importParcels,
  type RefusedLine,
} from '../../src/tracking/import/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const NOW = Date.UTC(2026, 3, 10);
const HEADER = 'source,marketplace_order_id,booking_courier,booked_at,awb_number,lr_number';
let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  db = createDb(database.url, { max: 3 });
  // as the scheduler writes them from the couriers' files
  await database.sql`
    insert into trackers (name, enabled, courier, sources, number, precedence) values
      ('delhivery-b2c', true, 'delhivery', 'primary', 'awb', 20), ('delhivery-b2b', true, 'delhivery', 'primary', 'lr', 20)`;
});
beforeEach(() => database.sql`truncate orders cascade`);
afterAll(async () => {
  await closeDb(db);
  await database.drop();
});

interface Parcel {
  source: string;
  order: string;
  courier: string;
  booked: Date;
  awb: string | null;
  lr: string | null;
  carrier: string | null;
  status: string;
  code: number;
  trackedBy: string | null;
}
const parcels = () => database.sql<Parcel[]>`
  select o.source, o.marketplace_order_id as order, s.booking_courier as courier, s.booked_at as booked,
    s.awb_number as awb, s.lr_number as lr, s.carrier, s.status, o.order_status as code, s.tracked_by as "trackedBy"
  from shipments s join orders o on o.id = s.order_id order by 2, 5, 6`;

/** In small pieces: no line end, quote or letter may depend on where the pieces end. */
async function* pieces(text: string | Buffer): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text as string);
  const size = bytes.length > 10_000 ? 60_000 : 7;
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function importText(
  text: string | Buffer,
  {
    name = 'parcels.csv',
    zone,
    dates,
    once = false,
  }: { name?: string; zone?: string; dates?: DateOrder; once?: boolean } = {},
): Promise<Imported & { why: string[] }> {
  const refused: RefusedLine[] = [];
  const result = await importParcels({ db, clock: () => NOW }, pieces(text), {
    name,
    ...(zone ? { zone } : {}),
    dates,
    again: once ? undefined : () => pieces(text),
    onRefused: (line) => void refused.push(line),
  });
  return { ...result, why: refused.map(({ line, reason }) => `${line}: ${reason}`) };
}

test('O6: parcels come in with their orders, and the same file again changes nothing', async () => {
  const file = `${HEADER}
shopify,1001,Delhivery Surface,2026-04-01T10:00:00+05:30,AWB1,
Shopify,1001,Delhivery Surface,2026-04-02T10:00:00Z,AWB2,
retailer,2001,DELHIVERY,2026-04-01,,LR1
amazon,3001,BlueDart,2026-04-01T10:00:00+00,AWB3,
`;
  expect(await importText(file)).toMatchObject({
    ...{ format: 'csv', lines: 4, imported: 4, known: 0, refused: 0, orders: 3, ignored: [] },
    followed: { 'delhivery-b2c': 2, 'delhivery-b2b': 1, none: 1 },
  });
  const rows = await parcels();
  expect(rows).toMatchObject([
    // C2: sources are compared letter by letter, so their spelling is mended
    { source: 'shopify', order: '1001', awb: 'AWB1', status: 'pending', code: 4, trackedBy: 'delhivery-b2c' },
    { source: 'shopify', order: '1001', awb: 'AWB2' },
    { source: 'Retailer', order: '2001', awb: null, lr: 'LR1', trackedBy: 'delhivery-b2b' },
    { source: 'amazon', order: '3001', awb: 'AWB3', lr: null, trackedBy: null },
  ]);
  expect(await importText(file)).toMatchObject({
    imported: 0,
    known: 4,
    refused: 0,
    orders: 0,
    followed: {},
  });
  expect(await parcels()).toEqual(rows);
  // twice in one file is once, too
  await database.sql`truncate orders cascade`;
  const [header, ...lines] = file.trim().split('\n');
  expect(await importText([header, ...lines, ...lines].join('\n'))).toMatchObject({ imported: 4, known: 4 });
});

test.each([
  ['a zone', '2026-04-01T10:00:00+02:00', '2026-04-01T08:00:00.000Z'],
  ['Z', '2026-04-01T10:00:00Z', '2026-04-01T10:00:00.000Z'],
  ['as Postgres writes it', '2026-04-01 10:00:00.123456+00', '2026-04-01T10:00:00.123Z'],
  ['with a blank before the zone', '2026-04-01 10:00 +0530', '2026-04-01T04:30:00.000Z'],
  ['no zone: India (C4)', '2026-04-01 10:00', '2026-04-01T04:30:00.000Z'],
  ['a day alone: its midnight in India', '2026-04-01', '2026-03-31T18:30:00.000Z'],
])('times: %s', async (_, written, meant) => {
  await importText(`${HEADER}\nshopify,1,Delhivery,${written},A1,`);
  expect((await parcels())[0]?.booked.toISOString()).toBe(meant);
});

test('O6: dates that cannot be told: nothing is imported, not even the lines before', async () => {
  const file = (...dates: string[]) =>
    [HEADER, ...dates.map((date, n) => `shopify,S${n},Delhivery,${date},A${n},`)].join('\n');
  const booked = async () => (await parcels()).map(({ booked }) => booked.toISOString().slice(0, 10));
  await expect(importText(file('2026-02-01', '03/02/2026'))).rejects.toThrow(
    'Use --dates dmy or --dates mdy',
  );
  const both = file('03/02/2026', '22/02/2026', '02/23/2026');
  await expect(importText(both)).rejects.toThrow('are inconsistent');
  expect(await booked()).toEqual([]);
  expect(await importText(both, { dates: 'dmy', zone: 'Z' })).toMatchObject({
    imported: 2,
    why: ['4: booked_at "02/23/2026" is not a valid date with --dates dmy'],
  });
  expect(await booked()).toEqual(['2026-02-03', '2026-02-22']);

  await database.sql`truncate orders cascade`;
  const proved = file('03/02/2026', '22/02/2026', '2026-02-05', '05/05/2025');
  // what is read once alone is not looked through beforehand
  expect(await importText(proved, { once: true })).toMatchObject({
    imported: 2,
    why: [expect.stringMatching(/^2: .*standard input .*--dates dmy/), expect.stringMatching(/^3: /)],
  });
  expect(await importText(proved, { zone: 'Z' })).toMatchObject({ imported: 2, known: 2, refused: 0 });
});

test('times: --zone says whose those without one are', async () => {
  await importText(
    `${HEADER}\nshopify,1,Delhivery,2026-04-01 10:00,A1,\nshopify,2,Delhivery,2026-04-01,A2,`,
    {
      zone: '+02:00',
    },
  );
  expect((await parcels()).map(({ booked }) => booked.toISOString())).toEqual([
    '2026-04-01T08:00:00.000Z',
    '2026-03-31T22:00:00.000Z',
  ]);
});

const LINE = ['shopify', '1', 'Delhivery', '2026-04-01T10:00:00Z', 'A1', ''];
test.each([
  ['semicolons', [HEADER.replaceAll(',', ';'), LINE.join(';')].join('\n')],
  ['tabs', [HEADER.replaceAll(',', '\t'), LINE.join('\t')].join('\n')],
  ['CRLF and a BOM', `\uFEFF${HEADER}\r\n${LINE.join(',')}\r\n`],
  ['empty lines', `\n${HEADER}\n\n,,,,,\n${LINE.join(',')}\n\n`],
  ['quotes', `"source",${HEADER.slice(7)}\n${LINE.map((field) => `"${field}"`).join(',')}`],
  ['other names', ['Source;Marketplace Order ID;Courier;bookedAt;AWB;LR No', LINE.join(';')].join('\n')],
  [
    'another order',
    [
      'awb_number,booked_at,booking_courier,marketplace_order_id,source',
      'A1,2026-04-01T10:00:00Z,Delhivery,1,shopify',
    ].join('\n'),
  ],
  ['a line break in a column that is not ours', `${HEADER},note\n${LINE.join(',')},"at the\r\nback door"`],
])('O6: CSV with %s', async (_, text) => {
  expect(await importText(text)).toMatchObject({ format: 'csv', imported: 1, refused: 0 });
  expect(await parcels()).toMatchObject([
    { source: 'shopify', order: '1', courier: 'Delhivery', awb: 'A1', lr: null },
  ]);
});

describe('A1: numbers in an import', () => {
  const columns = { order: '1', awb: 'A1', lr: '' };
  const importOne = (change: Partial<typeof columns>) => {
    const { order, awb, lr } = { ...columns, ...change };
    return importText(`${HEADER}\nshopify,${order},Delhivery,2026-04-01,${awb},${lr}`);
  };

  test('C2: a placeholder beside an AWB is empty: the parcel is asked for by its AWB', async () => {
    const none = [
      'NA',
      'n/a',
      '-',
      'nan',
      '0',
      '00000',
      'None',
      'null',
      'undefined',
      'TBD',
      '.',
      '#N/A',
      '0.0',
    ];
    const lines = none.map((lr, at) => `shopify,S${at},Delhivery,2026-04-01,A${at},${lr}`);
    expect(await importText([HEADER, ...lines].join('\n'))).toMatchObject({
      imported: none.length,
      followed: { 'delhivery-b2c': none.length },
    });
    expect(new Set((await parcels()).map(({ lr }) => lr))).toEqual(new Set([null]));
  });

  test('a placeholder that is all there is', async () => {
    expect((await importOne({ awb: 'NA', lr: '-' })).why).toEqual([
      '2: it has neither an awb_number nor an lr_number (awb_number "NA" is a placeholder, lr_number "-" is a placeholder)',
    ]);
    expect((await importOne({ order: 'nan' })).why).toEqual([
      '2: marketplace_order_id "nan" is a placeholder: give the real one',
    ]);
  });

  test('what a spreadsheet made of a number is refused, of orders too: two that round alike must not become one', async () => {
    const rounded = [
      '4.50123E+12',
      '5,01E+12',
      '2.19E+26',
      '123457E7',
      '12.3457E11',
      '4501234567890.0',
      '.5',
      '1.234.567',
    ];
    const lines = rounded.flatMap((text) => [
      `shopify,"${text}",Delhivery,2026-04-01,A1,`,
      `shopify,1,Delhivery,2026-04-01,"${text}",`,
    ]);
    const { imported, orders, why } = await importText([HEADER, ...lines].join('\n'));
    expect([imported, orders]).toEqual([0, 0]);
    expect(why).toEqual(
      rounded.flatMap((text) => [
        expect.stringContaining(`: marketplace_order_id "${text}" was `),
        expect.stringContaining(`: awb_number "${text}" was `),
      ]),
    );
  });

  test('marks of a text are taken off all of them', async () => {
    await importOne({ order: "'4501234567890", awb: '="0123456789"', lr: "'77" });
    expect(await parcels()).toMatchObject([{ order: '4501234567890', awb: '0123456789', lr: '77' }]);
  });

  test('NDJSON: a number is read as it is written', async () => {
    const line = (change: string) =>
      `{"source":"other","order_number":"1","courier":"Velocity","booked_at":"2026-04-01","awb":"A1",${change}}`;
    const wrong = ['"lr":1.23457e+12', '"lr":1.5', '"order_number":1.23457E12'];
    const { why } = await importText(wrong.map(line).join('\r'));
    expect(why).toEqual([
      expect.stringMatching(/^1: lr_number "1.23457e\+12" was rounded/),
      expect.stringMatching(/^2: lr_number "1.5" was turned into a decimal/),
      expect.stringMatching(/^3: marketplace_order_id "1.23457E12" was rounded/),
    ]);
    const right = ['"lr":0', '"order_number":2,"lr":1234567890123.0', '"order_number":3,"lr":null'];
    expect(await importText(right.map(line).join('\r\n'))).toMatchObject({ imported: 3, lines: 3 });
    expect((await parcels()).map(({ lr }) => lr)).toEqual([null, '1234567890123', null]);
  });

  test('words for nothing in the other columns are nothing', async () => {
    await importText(`${HEADER},carrier,status,order_status\n${LINE.join(',')},nan,NULL,n/a`);
    expect(await parcels()).toMatchObject([{ carrier: null, status: 'pending', code: 4 }]);
  });
});

test('O6: NDJSON by its content and by its name; columns that are not ours are named', async () => {
  const object = {
    ...{ source: 'other', marketplaceOrderId: 77, bookingCourier: 'Delhivery', bookedAt: '2026-04-01' },
    ...{ awbNumber: 12345678901234, carrier: 'dhl', status: 'in_transit', buyer: { name: 'x' } },
  };
  const text = `${JSON.stringify(object)}\n\n{"source": \n`;
  const result = await importText(text, { name: '-' });
  expect(result).toMatchObject({ format: 'ndjson', imported: 1, ignored: ['buyer'] });
  expect(result.why).toEqual(['3: it is not valid JSON']);
  expect(await parcels()).toMatchObject([
    { order: '77', awb: '12345678901234', carrier: 'dhl', status: 'in_transit', code: 8 },
  ]);
  expect((await importText('what\n{}', { name: 'parcels.ndjson' })).why).toEqual([
    '1: it is not valid JSON',
    '2: it has neither an awb_number nor an lr_number',
  ]);
  const more = [
    '{"awb": 123456789012345678901, "source": "other", "order_number": "1"}',
    '{"awb": ["A"]}',
    '[1]',
    '{"awb": "A", "AWB Number": "B"}',
    `{"awb": "${'A'.repeat(300_000)}"}`,
  ];
  expect((await importText(`{}\n${more.join('\n')}`)).why.slice(1)).toEqual([
    '2: awb_number is too long for a number: put it in quotes',
    '3: awb_number is not a string',
    '4: it is not a JSON object',
    '5: it has awb_number twice',
    '6: it is longer than 256 KB',
  ]);
});

describe('R3: a wrong line is refused by itself, with its number and the reason', () => {
  const wrong = (change: Record<number, string>) => LINE.map((field, at) => change[at] ?? field).join(',');
  test.each([
    [wrong({ 0: '' }), 'source is missing'],
    [wrong({ 1: ' ' }), 'marketplace_order_id is missing'],
    [wrong({ 2: '' }), 'booking_courier is missing'],
    [wrong({ 2: 'x'.repeat(201) }), 'booking_courier is longer than 200 characters'],
    [wrong({ 2: '"a\nb"' }), 'booking_courier contains a line break or another control character'],
    [wrong({ 3: '' }), 'booked_at is missing'],
    [
      wrong({ 3: '31/04/2026' }),
      'booked_at "31/04/2026" is not a valid time (example: 2026-03-31T18:05:00+05:30)',
    ],
    [
      wrong({ 3: '2026-02-30' }),
      'booked_at "2026-02-30" is not a valid time (example: 2026-03-31T18:05:00+05:30)',
    ],
    [wrong({ 3: '2026-04-12T00:00:00Z' }), 'booked_at 2026-04-12T00:00:00Z is in the future'],
    [wrong({ 4: '' }), 'it has neither an awb_number nor an lr_number'],
    [wrong({ 4: 'A,1' }), 'it has 7 fields, the first line has 6'],
    [
      wrong({ 4: 'A 1' }),
      'awb_number "A 1" has invalid characters: only letters, digits and . / _ - are allowed',
    ],
    [
      wrong({ 4: '1.23457E+13' }),
      'awb_number "1.23457E+13" was rounded by a spreadsheet: format the column as text and export again',
    ],
    ['shopify,1', 'it has 2 fields, the first line has 6'],
    [
      wrong({ 0: 'temu' }),
      'order 1 of temu does not exist: Temu’s orders are imported only by orderfleet sync',
    ],
    [
      wrong({ 4: 'A"1"' }),
      'awb_number "A"1"" has invalid characters: only letters, digits and . / _ - are allowed',
    ],
    [wrong({ 2: '"Delhi"very' }), 'misplaced quote'],
    [wrong({ 2: 'nan' }), 'booking_courier "nan" is a placeholder: give the real one'],
    [wrong({ 3: '0000-00-00' }), 'booked_at "0000-00-00" is a placeholder: give the real one'],
    ['Total,,,,25,', 'it is a row of totals, not a parcel'],
    [',Grand total: 25,,,,', 'it is a row of totals, not a parcel'],
    ['Total,25', 'it has 2 fields, the first line has 6'],
    ['Exported by hand', 'it has 1 field, the first line has 6'],
  ])('%j', async (line, reason) => {
    const result = await importText(
      `${HEADER}\n${LINE.join(',')}\n${line}\nother,2,Delhivery,2026-04-01,A2,\n`,
    );
    expect(result).toMatchObject({ imported: 2, refused: 1, why: [`3: ${reason}`] });
    expect(await parcels()).toMatchObject([
      { order: '1', awb: 'A1' },
      { order: '2', awb: 'A2' },
    ]);
  });

  test('statuses that do not exist', async () => {
    const { why } = await importText(`${HEADER},status,order_status
${LINE.join(',')},gone,
${LINE.join(',')},,99
${LINE.join(',')},Out for Delivery,ndr`);
    expect(why).toEqual([
      expect.stringMatching(/^2: status "gone" is not one of pending, in_transit, /),
      expect.stringMatching(/^3: order_status "99" is not in table order_statuses \(4, booked, /),
    ]);
    expect(await parcels()).toMatchObject([
      { status: 'out_for_delivery', code: 11, trackedBy: 'delhivery-b2c' },
    ]);
  });

  test('letters that are not UTF-8, in our columns alone', async () => {
    const latin = Buffer.from(
      `${HEADER},note\nshopify,1,Posta Română,2026-04-01,A1,,x\nshopify,2,Delhivery,2026-04-01,A2,,né\n`.replace(
        'ă',
        'â',
      ),
      'latin1',
    );
    const result = await importText(latin);
    expect(result.why).toEqual(['2: booking_courier is not UTF-8: save the file as UTF-8']);
    expect(await parcels()).toMatchObject([{ awb: 'A2' }]);
  });

  test('an open quote: what stands before it is in, and the rest is said to be unread', async () => {
    const rest = Array.from({ length: 20_000 }, (_, n) => `other,${n},Delhivery,2026-04-01,B${n},`).join(
      '\n',
    );
    for (const text of [`${HEADER}\n${LINE.join(',')}\nshopify,2,"Delhi,2026-04-01,A2,\n`, '']) {
      await database.sql`truncate orders cascade`;
      const open = text || `${HEADER}\n${LINE.join(',')}\nshopify,2,"Delhi,2026-04-01,A2,\n${rest}`;
      const result = await importText(open);
      expect(result).toMatchObject({ imported: 1, refused: 1 });
      expect(result.why).toEqual([
        expect.stringMatching(/^3: a quote opened here or soon after is never closed/),
      ]);
    }
  });
});

test.each([
  ['nothing', '', 'The file is empty.'],
  ['blanks', ' \n\n', 'The file is empty.'],
  [
    'a JSON array',
    '[{"source":"other"}]',
    'This is a JSON array; expected one object per line: jq -c ".[]" FILE',
  ],
  [
    'zeros',
    Buffer.from([65, 66, 0, 67]),
    'The file is not text (byte 3 is zero): expected CSV or NDJSON in UTF-8.',
  ],
  [
    'a workbook',
    Buffer.from('PK\u0003\u0004rest'),
    'The file is a zip file or an Excel workbook: save the sheet as "CSV UTF-8".',
  ],
  ['UTF-16', Buffer.from(`\uFEFF${HEADER}`, 'utf16le'), 'The file is UTF-16: save it as UTF-8.'],
  [
    'gzip',
    Buffer.from([0x1f, 0x8b, 8, 0]),
    'The file is compressed: gunzip -c FILE | orderfleet shipments import -.',
  ],
  [
    'no columns',
    LINE.join(','),
    /^The first line must name the columns; missing: source, .*awb_number or lr_number\. It names shopify, 1, /,
  ],
  ['a column twice', `${HEADER},AWB\n`, 'The columns awb_number and AWB all mean awb_number: keep only one.'],
])('O6: a file of %s is refused whole, with what to do', async (_, content, message) => {
  await expect(importText(content)).rejects.toThrow(message);
});

test('T: parcels of Temu orders join their order; two stores with one number are told apart by a person', async () => {
  await database.sql`insert into orders (source, marketplace_order_id) values ('temu', 'PO-1')`;
  const line = 'temu,PO-1,Delhivery,2026-04-01,A1,';
  expect(await importText(`${HEADER}\n${line}`)).toMatchObject({ imported: 1, orders: 0 });
  const [store] = await database.sql`
    insert into temu_stores (name, region, country, app_key, app_secret, access_token)
    values ('a', 'EU', 'RO', 'k', 's', 't') returning id`;
  await database.sql`insert into orders (source, store_id, marketplace_order_id) values ('temu', ${store?.id}, 'PO-1')`;
  expect((await importText(`${HEADER}\n${line.replace('A1', 'A2')}`)).why).toEqual([
    '2: order PO-1 of temu exists 2 times, in several stores',
  ]);
});

test('an order that is known takes the status of its first parcel, and keeps one that it has', async () => {
  const file = (number: string, status: string) =>
    `${HEADER},status\nother,${number},Delhivery,2026-04-01,A${number}${status},,${status}`;
  await database.sql`insert into orders (source, marketplace_order_id, order_status) values ('other', '1', 4), ('other', '2', 9)`;
  await importText(file('1', 'delivered'));
  await importText(file('2', 'delivered'));
  // C2: parcels of an order that is not trackable are asked for by nobody
  expect(await parcels()).toMatchObject([
    { order: '1', code: 10, trackedBy: null },
    { order: '2', code: 9, trackedBy: 'delhivery-b2c' },
  ]);
  await importText(file('1', 'lost'));
  expect((await parcels()).map(({ code }) => code)).toEqual([10, 10, 9]);
});

test('C2: a parcel booked after the end of another one is followed, history is not', async () => {
  const header = `${HEADER},status\nother,1,Delhivery`;
  await importText(`${header},2026-04-03,A1,,booking_cancelled`);
  expect(await importText(`${header},2026-04-01,A0,,`)).toMatchObject({ followed: { none: 1 } });
  expect(await importText(`${header},2026-04-05,A2,,in_transit`)).toMatchObject({
    imported: 1,
    followed: { 'delhivery-b2c': 1 },
  });
  expect(await parcels()).toMatchObject([
    { awb: 'A0', code: 4 },
    { awb: 'A1', code: 4 },
    { awb: 'A2', code: 4, trackedBy: 'delhivery-b2c' },
  ]);
  // the end alone, of an order that was there before
  await database.sql`insert into orders (source, marketplace_order_id) values ('other', '2')`;
  expect(await importText(`${HEADER},status\nother,2,Delhivery,2026-04-01,B1,,lost`)).toMatchObject({
    followed: { none: 1 },
  });
});

test('O6: two imports of one file at once bring each parcel in once', async () => {
  const lines = Array.from({ length: 1_500 }, (_, n) => `Retailer,R${n},Delhivery,2026-04-01,,LR${n}`);
  const file = [HEADER, ...lines].join('\n');
  const [one, other] = await Promise.all([importText(file), importText(file)]);
  expect(one.imported + other.imported).toBe(1_500);
  expect(one.known + other.known).toBe(1_500);
  expect(await parcels()).toHaveLength(1_500);
});
