import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cleanNumber, isNone, isParcelNumber, type NumberFault, numberFault } from '../../src/lib/numbers.ts';

/** How a value reads as a parcel's number and as an order's; `ok` is a number. */
const read = (text: string): [parcel: string, order: string] => [
  numberFault(text, 'parcel')?.is ?? 'ok',
  numberFault(text, 'order')?.is ?? 'ok',
];
const table = (values: string[]) => test.each(values.map((value) => [value]));

describe('A1: numbers', () => {
  table([
    ...['1234567890123', '2071234567890', '1Z999AA10123456784', 'JD014600006281230704', 'SF1234E5678'],
    ...['NA123456', 'NULL0001', 'NaN7', 'none1', 'undefined9', '0E', '1ONB00000000017001', 'R-12/3_4.5'],
    ...['000001', '1', 'E1', '1E', '12E34F', 'A1E5', '1E5A', '12-34E5', '1.2E3.4', 'LP00123456789012'],
    // above the largest float: no program has made these from another number
    ...['1234E5678', '12E309', '123E456', '7E12345678'],
  ])('%s', (text) => expect(read(text)).toEqual(['ok', 'ok']));
});

describe('A1: placeholders are no numbers', () => {
  table([
    ...[
      '',
      ' ',
      'none',
      'None',
      'NONE',
      'null',
      'NULL',
      'nil',
      'nan',
      'NaN',
      '-nan',
      'NaT',
      'na',
      'NA',
      ' n/a ',
    ],
    ...[
      'N/A',
      'n.a.',
      '#N/A',
      '#N/A N/A',
      '<NA>',
      '(null)',
      '[none]',
      '"NULL"',
      'undefined',
      'Undefined',
      'TBD',
    ],
    ...[
      'unknown',
      'Not available',
      'not applicable',
      'not_set',
      'no',
      'No AWB',
      'False',
      'xxx',
      '\\N',
      '\u00a0',
    ],
    ...[
      '-',
      '--',
      '—',
      '.',
      '...',
      '?',
      '/',
      '_',
      '#',
      '0',
      '00',
      '0000000000000',
      '0.0',
      '.00',
      '-0',
      '0-0',
      "'0",
    ],
    ...[
      '[object Object]',
      '[object Undefined]',
      '[object Promise]',
      'PO-undefined',
      'undefined-undefined',
      "'",
      '=""',
    ],
  ])('%j', (text) => {
    expect(read(text)).toEqual(['none', 'none']);
    expect(isNone(text)).toBe(true);
  });
});

describe('A1: what a spreadsheet or a float made of a number is refused', () => {
  table([
    ...[
      '1.23457E+12',
      '1,23457E+12',
      '1.23457e+12',
      '1E+15',
      '123457E7',
      '12.3457E11',
      '12,3457E11',
      '2.19E+26',
    ],
    ...[
      '8.96529E+19',
      '5,01E+12',
      '0E5',
      '00012E3',
      '1.5E-07',
      '12E-3',
      "'1.2E+12",
      '="1.2E+12"',
      ' 1.2E+12 ',
      '1.E5',
    ],
    ...['1234567890123.0', '1234567890123.00', '1234567890123,0', '1234567890123.', '.5', ',5', '17.0'],
    ...[
      '1.234.567.890.123',
      '1,234,567',
      '12.345',
      '1,23,45,678',
      '1’234’567',
      '1\u202f234\u202f567',
      '1.234,50',
    ],
  ])('%s', (text) => expect(read(text)).toEqual(['rounded', 'rounded']));

  // a shop may number its orders like this; no courier does
  table(['12.5', '2026.0123', '1001.1', '1.2.3'])('%s, of a parcel', (text) =>
    expect(read(text)).toEqual(['rounded', 'ok']),
  );
});

describe('A1: what is no number of a parcel', () => {
  table([
    'AB 12',
    '-2147483648',
    'A,1',
    'A"1"',
    '#1001',
    'AWB',
    'XKBKNABJK',
    'Ă1',
    '١٢٣',
    '1'.repeat(61),
    'a\u200b1',
  ])('%s', (text) => expect(read(text)).toEqual(['wrong', 'ok']));
  table(['#REF!', '#DIV/0!', '#NAME?', '#VALUE!'])('%s, nor of an order', (text) =>
    expect(read(text)).toEqual(['wrong', 'wrong']),
  );
});

test('A1: marks with which a spreadsheet keeps a text a text are taken off', () => {
  for (const text of ['0123', ' 0123\n', "'0123", '="0123"', "'0123'", ' ="0123" ', "\u00a0'0123"])
    expect(cleanNumber(text)).toBe('0123');
  expect(cleanNumber("O'Neill-1")).toBe("O'Neill-1");
});

test('A1: the reason says what to do', () => {
  const why = (text: string) => (numberFault(text, 'parcel') as NumberFault).why;
  expect(why('1.23457E+12')).toBe('was rounded by a spreadsheet: format the column as text and export again');
  expect(why('1234567890123.0')).toMatch(/^was turned into a decimal number: format the column as text/);
  expect(why('NA')).toBe('is a placeholder, not a number: give the real one');
});

describe('A1: of any number', () => {
  const digits = fc.stringMatching(/^[1-9]\d{0,25}$/);
  const code = fc.stringMatching(/^[A-Z]{2}[A-Z0-9]{0,12}[0-9][A-Z0-9]{0,5}$/);

  test('digits alone, and letters before digits, are one, whatever stands around them', () => {
    fc.assert(
      fc.property(fc.oneof(digits, code), fc.constantFrom('', ' ', '\t', '\u00a0'), (number, blank) => {
        expect(cleanNumber(`${blank}'${number}${blank}`)).toBe(number);
        expect(isParcelNumber(number) && isParcelNumber(number.toLowerCase())).toBe(true);
        expect(numberFault(number, 'order')).toBeUndefined();
      }),
    );
  });

  test('no form in which a program writes a large or a broken number is', () => {
    const float = fc.double({ min: 1e-300, max: 1e300, noNaN: true });
    fc.assert(
      fc.property(float, fc.nat({ max: 12 }), fc.constantFrom('.', ','), (value, places, sign) => {
        const written = [value.toExponential(places), value.toExponential(places).replace('+', '')];
        if (value >= 1 && value < 1e20) written.push(`${BigInt(Math.floor(value))}.0`);
        if (value >= 1e3 && value < 1e20) written.push(BigInt(Math.floor(value)).toLocaleString('de'));
        for (const text of written.map((one) => one.replaceAll('.', sign)))
          for (const form of [text, text.toUpperCase(), ` ${text}`, `'${text}`, `="${text}"`])
            expect(read(form), form).toEqual(['rounded', 'rounded']);
      }),
    );
  });

  test('a word for none is none in any case and dress, and is none no more with a number behind it', () => {
    const words = fc.constantFrom('none', 'null', 'nil', 'nan', 'na', 'n/a', 'undefined', 'unknown', 'tbd');
    fc.assert(
      fc.property(
        words,
        fc.boolean(),
        fc.constantFrom('%', ' % ', '(%)', '<%>', '"%"', '-%-'),
        (word, up, dress) => {
          const text = dress.replace('%', up ? word.toUpperCase() : word);
          expect(isNone(text), text).toBe(true);
          expect(isNone(`${word.replace('/', '')}7`)).toBe(false);
        },
      ),
    );
  });

  test('cleaning twice is cleaning once, and never makes a number of another one', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const once = cleanNumber(text);
        expect(numberFault(once, 'parcel')).toEqual(numberFault(text, 'parcel'));
        if (isParcelNumber(text)) expect(text).toContain(once);
      }),
    );
  });
});
