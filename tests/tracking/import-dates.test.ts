import { describe, expect, test } from 'vitest';
import {
  bookedAtOf,
  type DateOrder,
  findOrder,
  ordersOf,
  timesOfZone,
} from '../../src/tracking/import/dates.ts';

const NOW = Date.UTC(2026, 3, 10);
const read = (text: string, order?: DateOrder, zone = '+05:30') => {
  const times = timesOfZone(zone);
  if (!times) throw new Error(`${zone} is no zone`);
  const time = bookedAtOf(text, { times, now: NOW, order });
  return typeof time === 'string' ? time : time.toISOString();
};
const india = (text: string) => new Date(`${text}+05:30`).toISOString();

test.each([
  ['2026-02-22 9:30', india('2026-02-22T09:30')],
  ['2026-02-22 14:30:00 IST', india('2026-02-22T14:30')],
  ['2026-02-22 14:30:00 +0530', india('2026-02-22T14:30')],
  ['2026-02-22 14:30 GMT', '2026-02-22T14:30:00.000Z'],
  ['2026-02-22 14:30:00+00', '2026-02-22T14:30:00.000Z'],
  ['2026-02-22T14:30:00.250Z', '2026-02-22T14:30:00.250Z'],
  ['2026-02-22', india('2026-02-22T00:00')],
  ['2026/02/22', india('2026-02-22T00:00')],
  ['2026.2.2 7:05 PM', india('2026-02-02T19:05')],
  ['22-Feb-2026', india('2026-02-22T00:00')],
  ['22 February 2026 12:30 am', india('2026-02-22T00:30')],
  ['22-Feb-26', india('2026-02-22T00:00')],
  ['Feb 22, 2026, 2:30 p.m.', india('2026-02-22T14:30')],
  // Excel's serial numbers
  ['46075', india('2026-02-22T00:00')],
  ['46075.604', india('2026-02-22T14:29:46')],
  ['46075,5', india('2026-02-22T12:00')],
  // Unix times
  ['1771731000', '2026-02-22T03:30:00.000Z'],
  ['1771731000123', '2026-02-22T03:30:00.123Z'],
  ['05/05/2025', india('2025-05-05T00:00')],
])('O6: a time with one meaning: %s', (text, meant) => expect(read(text)).toBe(meant));

test.each([
  ...['2026-02-22 25:00', '2026-02-22 13:00 PM', '2026/22/02', '2026-02-30', '22-Foo-2026', '31/02/2026'],
  ...['12345', '20260222', '99999999999', '26-2', 'yesterday', '2026-02/22', '', '1/2', '1.5'],
])('O6: no time: %j', (text) =>
  expect(read(text)).toBe(`booked_at "${text}" is not a valid time (example: 2026-03-31T18:05:00+05:30)`),
);

test('O6: a booking does not lie in the future', () => {
  expect(read('2026-04-12')).toBe('booked_at 2026-04-12 is in the future');
  expect(read('9876543210')).toBe('booked_at 9876543210 is in the future');
  expect(read('12/04/2026', 'dmy')).toBe('booked_at 12/04/2026 is in the future');
});

test('O6: a serial number that old Excels for Mac write for another day is none', () => {
  expect(read('44613')).toMatch(
    /^booked_at 44613 is 2022-02-21 in Excel and 2026-02-22 in old versions of Excel for Mac: /,
  );
});

test.each<[DateOrder, string, string]>([
  ['dmy', '03/02/2026', '2026-02-03'],
  ['mdy', '03/02/2026', '2026-03-02'],
  ['dmy', '03-02-26', '2026-02-03'],
  ['dmy', '22.2.2026 9:05', '2026-02-22'],
  ['dmy', '23 05 2023 11:43:52', '2023-05-23'],
  ['mdy', '3/2/26 9:05 PM', '2026-03-02'],
  ['ymd', '26.02.03', '2026-02-03'],
  ['mdy', '2026/02/03', '2026-02-03'], // which has one meaning
])('O6: by order %s: %s', (order, text, day) => expect(read(text, order, 'Z')).toContain(day));

test('O6: by an order that it does not fit, and without any', () => {
  expect(read('02/23/2026', 'dmy')).toBe('booked_at "02/23/2026" is not a valid date with --dates dmy');
  expect(read('22/02/2026', 'ymd')).toBe('booked_at "22/02/2026" is not a valid date with --dates ymd');
  expect(read('22/02/2026')).toMatch(/^booked_at "22\/02\/2026" is ambiguous.*use --dates dmy, mdy/);
});

test.each([
  // summer and winter
  ['Europe/Bucharest', '2025-07-01 12:00', '2025-07-01T09:00'],
  ['Europe/Bucharest', '2026-01-05 12:00', '2026-01-05T10:00'],
  ['europe/bucharest', '01-Jul-2025 12:00 PM', '2025-07-01T09:00'],
  ['America/New_York', '2026-03-08 12:00', '2026-03-08T16:00'],
  // clocks put forward at 03:00: the missing hour is moved forward
  ['Europe/Bucharest', '2026-03-29 02:59', '2026-03-29T00:59'],
  ['Europe/Bucharest', '2026-03-29 03:30', '2026-03-29T01:30'],
  ['Europe/Bucharest', '2026-03-29 04:00', '2026-03-29T01:00'],
  ['Europe/Bucharest', '46110.145833333', '2026-03-29T01:30'], // 03:30
  // a day without a midnight begins at one
  ['Africa/Cairo', '2025-04-25', '2025-04-24T22:00'],
  // put back at 04:00: the repeated hour is its first pass
  ['Europe/Bucharest', '2025-10-26 02:59', '2025-10-25T23:59'],
  ['Europe/Bucharest', '2025-10-26 03:30', '2025-10-26T00:30'],
  ['Europe/Bucharest', '2025-10-26 04:00', '2025-10-26T02:00'],
  // unless the time says which
  ['Europe/Bucharest', '2025-10-26 03:30 +02:00', '2025-10-26T01:30'],
  ['+02:00', '2026-07-01', '2026-06-30T22:00', Date.UTC(2027, 1)],
  ['Z', '2026-02-22', '2026-02-22T00:00'],
])('E2: a time of %s: %s', (zone, text, meant, now = NOW) => {
  const times = timesOfZone(zone);
  expect(times && bookedAtOf(text, { times, now, order: undefined })).toEqual(new Date(`${meant}Z`));
});

test.each(['Bucharest', 'Europe/Nowhere', '+99:00', 'IST', '', '2026-01-01[Europe/Paris]', '+2', 'local'])(
  'E2: %j is no zone: it is never guessed',
  (zone) => expect(timesOfZone(zone)).toBeUndefined(),
);

test.each<[string, DateOrder[] | undefined]>([
  ['22/02/2026', ['dmy']],
  ['02/22/2026', ['mdy']],
  ['03/02/2026', ['dmy', 'mdy']],
  ['05/05/2026', undefined],
  ['22/02/26', ['dmy', 'ymd']],
  ['05/05/26', ['dmy', 'mdy', 'ymd']],
  ['31/02/2026', []],
  ['2026/02/03', undefined],
  ['3-Feb-2026', undefined],
])('O6: %s may be %j', (text, orders) => expect(ordersOf(text)).toEqual(orders));

describe('O6: the order of a file’s dates', () => {
  const order = (...dates: string[]) =>
    findOrder(
      (async function* () {
        for (const [at, date] of dates.entries()) yield { line: at + 2, values: { booked_at: date } };
      })(),
    );

  test.each<[DateOrder | undefined, string[]]>([
    ['dmy', ['03/02/2026', '22/02/2026 14:30', '05-02-2026']],
    ['mdy', ['03/02/2026', '02/22/2026', '2026-01-31']],
    ['dmy', ['22.2.2026', '1.2.2026 9:30']],
    ['dmy', ['03/02/2026', '31/02/2026', '22/02/2026']], // a line that is no date is its own fault
    ['dmy', ['03/02/26', '22/02/2026']],
    [undefined, ['2026-02-03', '3-Feb-2026', '46075', '05/05/2026', '', 'nan']],
  ])('is %s when one line proves it: %j', async (meant, dates) => {
    expect(await order(...dates)).toBe(meant);
  });

  test.each([
    [
      ['2026-02-01', '03/02/2026', '04/02/2026'],
      'line 3 (03/02/2026) could be dmy or mdy. Use --dates dmy or --dates mdy.',
    ],
    [['22/02/26'], 'could be dmy or ymd. Use --dates dmy or --dates ymd.'], // the year may stand in front
    [['03/12/2026'], 'could be dmy or mdy. Use'], // a date of the future proves nothing
  ])('is not guessed: %j', async (dates, message) => {
    await expect(order(...dates)).rejects.toThrow(message);
  });

  test('is none when two lines are inconsistent', async () => {
    await expect(order('03/02/2026', '22/02/2026', '02/23/2026')).rejects.toThrow(
      'are inconsistent: line 4 (02/23/2026) is not dmy, line 3 (22/02/2026) is not mdy. Use --dates dmy or',
    );
    await expect(order('22/02/26', '02/23/26')).rejects.toThrow(
      'line 3 (02/23/26) is not dmy, line 2 (22/02/26) is not mdy, line 3 (02/23/26) is not ymd',
    );
  });
});
