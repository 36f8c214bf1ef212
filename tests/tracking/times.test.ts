import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { earliest, indiaTimes, newest, startOfIndiasDay, timesIn } from '../../src/tracking/toolkit/times.ts';

test.each([
  ['2026-08-24T23:56:59', '2026-08-24T18:26:59.000Z'],
  ['2026-08-24T23:56:59.7', '2026-08-24T18:26:59.700Z'],
  ['2026-08-24T23:56:59.79', '2026-08-24T18:26:59.790Z'],
  ['2026-08-24T23:56:59.774', '2026-08-24T18:26:59.774Z'],
  ['2025-03-06T17:30:05.985000', '2025-03-06T12:00:05.985Z'],
  ['2026-08-24T23:56:59.7740001', '2026-08-24T18:26:59.774Z'], // .NET's ticks
  ['2019-01-09 17:10:42.543', '2019-01-09T11:40:42.543Z'],
  ['2021-12-23 14:23:18', '2021-12-23T08:53:18.000Z'],
  ['2026-02-21 08:00', '2026-02-21T02:30:00.000Z'],
  ['23 05 2023 11:43:52', '2023-05-23T06:13:52.000Z'],
  ['23-05-2023 11:43:52', '2023-05-23T06:13:52.000Z'],
  ['Sep 27, 2026', '2026-09-26T18:30:00.000Z'],
  ['2026-02-20', '2026-02-19T18:30:00.000Z'],
  ['  2026-02-20  ', '2026-02-19T18:30:00.000Z'],
  ['2024-02-29', '2024-02-28T18:30:00.000Z'],
  // what can be read in one way only
  ['2026-08-24T23:56:59 IST', '2026-08-24T18:26:59.000Z'],
  ['2026-08-24 23:56 ist', '2026-08-24T18:26:00.000Z'],
  ['2026-02-22 9:05', '2026-02-22T03:35:00.000Z'],
  ['2026/02/22 14:30:00', '2026-02-22T09:00:00.000Z'],
  ['2026-2-3', '2026-02-02T18:30:00.000Z'],
  ['22-Feb-2026', '2026-02-21T18:30:00.000Z'],
  ['22-Feb-2026 14:30', '2026-02-22T09:00:00.000Z'],
  ['22 february 2026, 02:30 PM', '2026-02-22T09:00:00.000Z'],
  ['2026-02-22 2:30:15 pm', '2026-02-22T09:00:15.000Z'],
  ['2026-02-22 02:30 p.m.', '2026-02-22T09:00:00.000Z'],
  ['Feb 22, 2026 12:05 AM', '2026-02-21T18:35:00.000Z'],
  ['Sept 7 2026 12:05 PM', '2026-09-07T06:35:00.000Z'],
  ['Sun, 22 Feb 2026 14:30:00', '2026-02-22T09:00:00.000Z'],
])('C4: %s is India’s time', (text, instant) => {
  expect(indiaTimes.at(text)?.toISOString()).toBe(instant);
});

test.each([
  ['2026-08-24T18:26:59Z', '2026-08-24T18:26:59.000Z'],
  ['2026-08-24T18:26:59.5+00:00', '2026-08-24T18:26:59.500Z'],
  ['2026-08-24T20:26:59.774000001+02:00', '2026-08-24T18:26:59.774Z'],
  ['2026-08-24T20:26:59+02:00', '2026-08-24T18:26:59.000Z'],
  ['2026-08-24T13:26:59-0500', '2026-08-24T18:26:59.000Z'],
  ['2026-08-24T23:56:59 +0530', '2026-08-24T18:26:59.000Z'],
  ['2026-08-24 11:56:59 PM +05:30', '2026-08-24T18:26:59.000Z'],
  ['2026-08-24T18:26:59 UTC', '2026-08-24T18:26:59.000Z'],
  ['Mon, 24 Aug 2026 18:26:59 GMT', '2026-08-24T18:26:59.000Z'],
  ['24-Aug-2026 20:26:59 GMT+0200', '2026-08-24T18:26:59.000Z'],
])('C4: a zone that is given counts: %s', (text, instant) => {
  expect(indiaTimes.at(text)?.toISOString()).toBe(instant);
});

test.each([
  null,
  undefined,
  '',
  'NA',
  'N/A',
  '0000-00-00 00:00:00',
  '0001-01-01T00:00:00',
  '1970-01-01 05:30:00',
  '2026-02-30',
  '2025-02-29',
  '2026-13-01',
  '2026-01-01T24:00:00',
  '2026-01-01T10:60:00',
  '2026-01-01T10:00:00+99:00',
  '31 06 2026 10:00:00',
  'Foo 27, 2026',
  // day and month, or month and day; two years; no hour of that half; a zone that several countries have
  '02/03/2026 10:00',
  '22/02/2026',
  '02/22/2026 10:00 AM',
  '22-02-26',
  '22-Feb-26',
  '2026-02-22 13:05 PM',
  '2026-02-22 00:05 AM',
  '2026-02-22 10:00 CST',
  '2026-02/22',
  '22-Febtober-2026',
  '30-Feb-2026',
  'Not Applicable',
  '1787596016179',
])('C4: %j is no time', (text) => {
  expect(indiaTimes.at(text)).toBeNull();
});

test('C4: whatever comes is a time or none', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.date({ noInvalidDate: true }).map(String)), (text) => {
      const time = indiaTimes.at(text);
      if (time) expect(Number.isNaN(time.getTime())).toBe(false);
    }),
  );
});

test('C4: a time written as India’s is read as what it was', () => {
  const dates = fc.date({
    min: new Date('2000-01-02T00:00:00Z'),
    max: new Date('2099-01-01T00:00:00Z'),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(dates, (date) => {
      const india = new Date(date.getTime() + 5.5 * 3_600_000).toISOString().slice(0, -1);
      expect(indiaTimes.at(india)).toEqual(date);
      expect(indiaTimes.at(india.replace('T', ' '))).toEqual(date);
      expect(indiaTimes.at(`${india}000`)).toEqual(date);
    }),
  );
});

const bucharest = timesIn('Europe/Bucharest');

test.each([
  ['2026-07-01 12:00:00', '2026-07-01T09:00:00.000Z'],
  ['2026-01-15T12:00:00', '2026-01-15T10:00:00.000Z'],
  ['2024-06-14 06:00:55', '2024-06-14T03:00:55.000Z'],
  ['2020-06-06T08:37:48.127', '2020-06-06T05:37:48.127Z'],
  // the hour that is skipped: as a clock shows that was not changed
  ['2026-03-29 02:59:59', '2026-03-29T00:59:59.000Z'],
  ['2026-03-29 03:00:00', '2026-03-29T01:00:00.000Z'],
  ['2026-03-29 03:30:00', '2026-03-29T01:30:00.000Z'],
  ['2026-03-29 04:00:00', '2026-03-29T01:00:00.000Z'],
  // the hour that occurs twice: its first pass
  ['2026-10-25 02:59:59', '2026-10-24T23:59:59.000Z'],
  ['2026-10-25 03:30:00', '2026-10-25T00:30:00.000Z'],
  ['2026-10-25 04:00:00', '2026-10-25T02:00:00.000Z'],
  ['2026-10-25', '2026-10-24T21:00:00.000Z'],
])('E2: %s in Bucharest', (text, instant) => {
  expect(bucharest.at(text)?.toISOString()).toBe(instant);
});

test('E2: a zone that is given counts in Bucharest as well', () => {
  expect(bucharest.at('2026-10-25T03:30:00+0200')).toEqual(new Date('2026-10-25T01:30:00Z'));
});

test('E2: in a list, oldest first, the hour that occurs twice is of the pass that keeps the order', () => {
  const now = Date.parse('2026-10-26T00:00:00Z');
  const read = (...clocks: string[]) =>
    bucharest
      .pastInOrder(
        clocks.map((clock) => `2026-10-25 ${clock}`),
        now,
      )
      .map((time) => time?.toISOString().slice(11, 16));
  expect(read('02:50', '03:10', '03:40', '03:20', '04:05')).toEqual([
    '23:50',
    '00:10',
    '00:40',
    '01:20',
    '02:05',
  ]);
  // no order at all: each by itself
  expect(read('04:05', '03:20')).toEqual(['02:05', '00:20']);
  expect(read('nonsense', '03:20')).toEqual([undefined, '00:20']);
});

test('E2: without a zone of the courier a time that names none is no time', () => {
  expect(timesIn().at('2026-07-01 12:00:00')).toBeNull();
  expect(timesIn().at('2026-07-01 12:00:00+03:00')).toEqual(new Date('2026-07-01T09:00:00Z'));
});

test('E2: every instant of a year is read back from its local time, but for the second pass', () => {
  const local = new Intl.DateTimeFormat('sv-SE', {
    ...{ timeZone: 'Europe/Bucharest', hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit' },
    ...{ hour: '2-digit', minute: '2-digit', second: '2-digit' },
  });
  const second = [Date.parse('2026-10-25T01:00:00Z'), Date.parse('2026-10-25T02:00:00Z')] as const;
  fc.assert(
    fc.property(
      fc.integer({ min: Date.UTC(2026, 0, 1) / 1000, max: Date.UTC(2027, 0, 1) / 1000 }),
      (seconds) => {
        const instant = seconds * 1_000;
        const first = instant >= second[0] && instant < second[1] ? instant - 3_600_000 : instant;
        expect(bucharest.at(local.format(instant))?.getTime()).toBe(first);
      },
    ),
  );
});

test.each(['UTC', 'Asia/Kolkata', 'America/New_York', 'Pacific/Kiritimati'])(
  'C4, E2: the host’s zone decides nothing: %s',
  (zone) => {
    const script = `import { indiaTimes, startOfIndiasDay, timesIn } from './src/tracking/toolkit/times.ts';
      const inBucharest = timesIn('Europe/Bucharest').at('2026-10-25 03:30:00').toISOString();
      console.log(indiaTimes.at('2026-03-08 02:30:00').toISOString(), startOfIndiasDay(1773000000000), inBucharest);`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', script],
      { cwd: `${import.meta.dirname}/../..`, env: { PATH: process.env.PATH, TZ: zone }, encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    expect(stdout.trim()).toBe(
      `2026-03-07T21:00:00.000Z ${Date.parse('2026-03-08T00:00:00+05:30') + 86_400_000} 2026-10-25T00:30:00.000Z`,
    );
  },
);

test('a time that lies days ahead is none: it would outrank all that is still to come (C7)', () => {
  const now = Date.parse('2026-09-10T12:00:00+05:30');
  expect(indiaTimes.past('2026-09-10T12:20:00', now)).toEqual(new Date('2026-09-10T12:20:00+05:30'));
  expect(indiaTimes.past('2026-09-12T12:00:00', now)).toBeNull();
  expect(indiaTimes.past('9999-12-31', now)).toBeNull();
  expect(indiaTimes.past(null, now)).toBeNull();
});

test('C4: India’s day begins at 18:30 UTC', () => {
  const midnight = Date.parse('2026-09-10T00:00:00+05:30');
  expect(startOfIndiasDay(midnight)).toBe(midnight);
  expect(startOfIndiasDay(midnight - 1)).toBe(midnight - 86_400_000);
  expect(startOfIndiasDay(midnight + 86_399_999)).toBe(midnight);
});

test('newest and earliest look past what has no time', () => {
  const [a, b] = [new Date(1), new Date(2)];
  expect(newest([null, a, b, null])).toBe(b);
  expect(earliest([null, b, a])).toBe(a);
  expect(newest([])).toBeNull();
  expect(earliest([null])).toBeNull();
});
