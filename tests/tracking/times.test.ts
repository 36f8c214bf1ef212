import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { earliest, newest, pastTime, startOfIndiasDay, timeOf } from '../../src/tracking/times.ts';

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
  expect(timeOf(text)?.toISOString()).toBe(instant);
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
  expect(timeOf(text)?.toISOString()).toBe(instant);
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
  expect(timeOf(text)).toBeNull();
});

test('C4: whatever comes is a time or none', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.date({ noInvalidDate: true }).map(String)), (text) => {
      const time = timeOf(text);
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
      expect(timeOf(india)).toEqual(date);
      expect(timeOf(india.replace('T', ' '))).toEqual(date);
      expect(timeOf(`${india}000`)).toEqual(date);
    }),
  );
});

test.each(['Asia/Kolkata', 'America/New_York', 'Pacific/Kiritimati'])(
  'C4: the host’s zone decides nothing: %s',
  (zone) => {
    const script = `import { timeOf, startOfIndiasDay } from './src/tracking/times.ts';
      console.log(timeOf('2026-03-08 02:30:00').toISOString(), startOfIndiasDay(1773000000000));`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', script],
      { cwd: `${import.meta.dirname}/../..`, env: { PATH: process.env.PATH, TZ: zone }, encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    expect(stdout.trim()).toBe(
      `2026-03-07T21:00:00.000Z ${Date.parse('2026-03-08T00:00:00+05:30') + 86_400_000}`,
    );
  },
);

test('a time that lies days ahead is none: it would outrank all that is still to come (C7)', () => {
  const now = Date.parse('2026-09-10T12:00:00+05:30');
  expect(pastTime('2026-09-10T12:20:00', now)).toEqual(new Date('2026-09-10T12:20:00+05:30'));
  expect(pastTime('2026-09-12T12:00:00', now)).toBeNull();
  expect(pastTime('9999-12-31', now)).toBeNull();
  expect(pastTime(null, now)).toBeNull();
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
