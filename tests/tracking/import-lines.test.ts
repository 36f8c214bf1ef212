import { describe, expect, test } from 'vitest';
import type { Given } from '../../src/tracking/import/given.ts';
import { readLines } from '../../src/tracking/import/lines.ts';

/** In small pieces: no line end, quote or letter may depend on where the pieces end. */
async function* pieces(text: string): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7);
}

async function read(text: string): Promise<Given[]> {
  const all: Given[] = [];
  for await (const line of (await readLines(pieces(text), 'parcels.csv')).lines) all.push(line);
  return all;
}
const refusals = async (text: string) =>
  (await read(text)).flatMap((given) => ('refused' in given ? [`${given.line}: ${given.refused}`] : []));

const HEADER = 'source,marketplace_order_id,booking_courier,booked_at,awb_number,lr_number';
const FIELDS = ['shopify', '1', 'Delhivery', '2026-04-01T10:00:00Z', 'A1', ''];
const LINE = FIELDS.join(',');

test.each([
  ['lone CR, as Excel for Mac', `${HEADER}\r${LINE}\r`],
  ['lone CR and quoted line breaks', `${HEADER},note\r${LINE},"a\rb"\r`],
  ['CR CR LF', `${HEADER}\r\r\n${LINE}\r\r\n`],
  ['a line sep=;', `sep=;\n${HEADER.replaceAll(',', ';')}\n${FIELDS.join(';')}`],
  [
    'a line sep=; with a BOM, in quotes',
    `\uFEFF"sep=;"\r\n${HEADER.replaceAll(',', ';')}\r\n${FIELDS.join(';')}`,
  ],
  ['a line sep= and a tab', `sep=\t\n${HEADER.replaceAll(',', '\t')}\n${FIELDS.join('\t')}`],
  ['a line sep=^', `SEP=^\n${HEADER.replaceAll(',', '^')}\n${FIELDS.join('^')}`],
  ['separators at the end of each line', `${HEADER}\n${LINE},\n`],
  ['several of them, with blanks', `${HEADER}\n${LINE}, ,,\n`],
  ['of more lines than are looked at first', [`${HEADER}`, ...Array(30).fill(`${LINE},`)].join('\n')],
  ['separators at the end of the header too', `${HEADER},,\n${LINE},,\n`],
  ['separators at the end of the header alone', `${HEADER},,\n${LINE}\n`],
  ['blanks before quotes', `${HEADER}\n${FIELDS.map((field) => `"${field}"`).join(', ')}`],
  ['a quote in a column that is not ours', `${HEADER},size\n${LINE},12" pipe`],
  ['several of them', `${HEADER},size\n${LINE},5" x 12" "`],
  ['a quoted text with more behind it there', `${HEADER},size\n${LINE},"5" x 12"`],
])('O6: CSV with %s', async (_, text) => {
  const all = await read(text);
  expect(all.length).toBeGreaterThan(0);
  for (const line of all)
    expect(line).toEqual({
      line: expect.any(Number),
      values: {
        ...{ source: 'shopify', marketplace_order_id: '1', booking_courier: 'Delhivery' },
        ...{ booked_at: '2026-04-01T10:00:00Z', awb_number: 'A1', lr_number: '' },
      },
    });
});

test('R3: a field too many in one line may have moved the others, also when the last one is empty', async () => {
  const moved = LINE.replace('A1', 'A1,1');
  expect(await refusals(`${HEADER}\n${LINE},,x\n${LINE}`)).toEqual([
    '2: it has 8 fields, the first line has 6',
  ]);
  expect(await refusals(`${HEADER}\n${LINE}\n${moved}`)).toEqual([
    '3: it has 7 fields, the first line has 6',
  ]);
  expect(await refusals(`${HEADER}\n${LINE},\n${moved},\n${LINE},\nTotal,25`)).toEqual([
    '3: it has 8 fields, the first line has 6',
    '5: it has 2 fields, the first line has 6',
  ]);
});

test.each(['\n', '\r\n', '\r'])(
  'R3: lines are counted whatever ends them, also within quotes: %j',
  async (end) => {
    const text = [
      `${HEADER},note`,
      `${LINE},"a${end}b${end}c"`,
      'shopify,2',
      `${LINE},"d${end}e"`,
      'shopify',
    ];
    expect(await refusals(text.join(end))).toEqual([
      '5: it has 2 fields, the first line has 7',
      '8: it has 1 field, the first line has 7',
    ]);
  },
);

describe('R3: what an open quote swallows is not lost without a word', () => {
  const other = LINE.replace('A1', 'A2');
  test.each([
    ['in a column that is not ours', `${HEADER},note\n${LINE},"open\n${other},"ok"`, 'the one'],
    ['over several lines', `${HEADER},note\n${LINE},"open\n${other},x\n${other},"ok"`, 'the 2'],
    ['in one that is', `${HEADER}\nshopify,1,"Delhi\n${LINE.replace('Delhivery', '"Delhivery"')}`, 'the one'],
  ])('%s', async (_, text, lost) => {
    expect(await refusals(`${text}\n`)).toEqual([
      `2: misplaced quote: this line and ${lost} after it are skipped`,
    ]);
  });
});

test.each(['\n', '\r\n', '\r'])('O6: NDJSON with any line end: %j', async (end) => {
  const text = ['{"awb":"A1"}', '', '{"awb":"A2"', '{"awb":"A3"}'].join(end);
  expect(await read(text)).toEqual([
    { line: 1, values: { awb_number: 'A1' } },
    { line: 3, values: {}, refused: 'it is not valid JSON' },
    { line: 4, values: { awb_number: 'A3' } },
  ]);
});

test.each([
  ['1234567890123', '1234567890123'],
  ['1234567890123.0', '1234567890123'],
  ['1.23457e+12', '1.23457e+12'], // a whole number to JSON, and digits are lost all the same
  ['46075.604', '46075.604'],
  ['0', '0'],
])('O6: NDJSON: the number %s is read as it is written', async (written, text) => {
  expect(await read(`{"awb":${written},"n":{"awb":1}}`)).toEqual([{ line: 1, values: { awb_number: text } }]);
});
