import { describe, expect, test } from 'vitest';
import { digestTime } from '../../src/alerts/report/digest-time.ts';
import { htmlReport } from '../../src/alerts/report/html.ts';
import { duration, type Run, reportOf, share } from '../../src/alerts/report/model.ts';
import { plainReport } from '../../src/alerts/report/plain.ts';

const at = (minute: number) => new Date(Date.UTC(2026, 10, 22, 14, minute));

const run = (more: Partial<Run> = {}): Run => ({
  id: 'run',
  tracker: 'delhivery-b2c',
  ...{
    planned: 36_000,
    updated: 312,
    unchanged: 35_000,
    notFound: 600,
    mismatched: 2,
    unmapped: 74,
    failed: 12,
  },
  ...{ requests: 721, requestLimit: '7/3', waits: 2, waitedMs: 300_000 },
  words: { 'UD-WEATHER_HOLD': 70, 'RT-ODD': 4 },
  errors: { 'HTTP 503, five times': 12 },
  startedAt: at(0),
  finishedAt: at(10),
  ...more,
});

describe('C13: the report of a run', () => {
  test('the subject says it in a line', () => {
    expect(reportOf([run()]).subject).toBe(
      'Delhivery B2C: 312 of 36,000 parcels updated, 2 mismatched, 74 unmapped, 12 failed, rate-limited twice',
    );
    const good = run({ mismatched: 0, unmapped: 0, failed: 0, waits: 0 });
    expect(reportOf([good]).subject).toBe('Delhivery B2C: 312 of 36,000 parcels updated');
    expect(reportOf([run({ planned: 0 })]).subject).toBe('Delhivery B2C: no parcels were due');
  });

  test('plain text has every figure that C13 names', () => {
    expect(plainReport(reportOf([run()]))).toBe(`Delhivery B2C, 22 Nov 14:00 – 14:10 UTC

Parcels checked    36,000
Updated            312  (0.9 %)
Unchanged          35,000  (97 %)
Not found          600  (1.7 %)
Mismatched         2  (< 0.1 %)
Unmapped           74  (0.2 %)
Failed             12  (< 0.1 %)
Requests           721 of 707 allowed by 7 per 3 s (102 %)
Rate-limit pauses  twice, 5 min in total
Duration           10 min

Unmapped courier statuses
  70 × UD-WEATHER_HOLD
  4 × RT-ODD

Errors
  12 × HTTP 503, five times
`);
  });

  test('HTML has them too', () => {
    const html = htmlReport(reportOf([run()]));
    const words = html
      .replace(/<style>.*?<\/style>/s, '')
      .replace(/<[^>]+>/g, ' ')
      .replace(/\s+/g, ' ');
    for (const one of [
      'Delhivery B2C',
      '312',
      '35,000',
      '600',
      '74',
      'UD-WEATHER_HOLD',
      'HTTP 503, five times',
    ])
      expect(words).toContain(one);
    expect(words).toMatch(/Requests 721 of 707 allowed by 7.per 3.s/);
    expect(words).toContain('Rate-limit pauses twice, 5 min in total');
  });

  test('hostile words stay words', () => {
    const hostile = '<img src=x onerror="alert(1)">&\'"</td><script>alert(2)</script>';
    const report = reportOf([
      run({ words: { [hostile]: 1, ['w'.repeat(5_000)]: 2 }, errors: { [hostile]: 3 }, tracker: '<b>x' }),
    ]);
    const html = htmlReport(report);
    expect(html).not.toMatch(/<img|<script|<b>x/i);
    expect(html).toContain('&lt;img src=x onerror=&quot;alert(1)&quot;&gt;');
    expect(html.length).toBeLessThan(20_000);
    expect(report.subject).not.toMatch(/[\r\n]/);
  });

  test('a courier without a limit, a run of no length', () => {
    const text = plainReport(
      reportOf([run({ requestLimit: null, waits: 0, waitedMs: 0, finishedAt: at(0) })]),
    );
    expect(text).toContain('Requests           721 (no limit)');
    expect(text).toContain('Rate-limit pauses  none');
    expect(text).toContain('Delhivery B2C, 22 Nov 14:00 UTC');
  });

  test('more words than one reads are counted', () => {
    const words = Object.fromEntries(Array.from({ length: 33 }, (_, nth) => [`WORD-${nth}`, nth + 1]));
    const report = reportOf([run({ words })]);
    expect(report.words).toHaveLength(20);
    expect(report.words[0]).toEqual({ tracker: 'Delhivery B2C', text: 'WORD-32', count: 33 });
    expect(plainReport(report)).toContain('… and 13 more');
    expect(htmlReport(report)).toContain('… and 13 more');
  });
});

describe('C13: digests', () => {
  const runs = (count: number) =>
    Array.from({ length: count }, (_, nth) =>
      run({
        tracker: nth % 2 ? 'shiprocket' : 'velocity',
        startedAt: at(nth),
        finishedAt: at(nth + 1),
        requestLimit: null,
      }),
    );

  test('a row per run while they are few, then one per tracker; the sums are the same', () => {
    const few = reportOf(runs(4));
    expect(few.rows.map(({ title, runs }) => [title, runs])).toEqual([
      ['Shiprocket', 1],
      ['Shiprocket', 1],
      ['Velocity', 1],
      ['Velocity', 1],
    ]);
    expect(few.subject).toMatch(
      /^Tracking, 22 Nov 14:00 – 14:04 UTC: 4 runs, 1,248 of 144,000 parcels updated/,
    );
    const many = reportOf(runs(40));
    expect(many.rows.map(({ title, runs, updated }) => [title, runs, updated])).toEqual([
      ['Shiprocket', 20, 6240],
      ['Velocity', 20, 6240],
    ]);
    expect(many.total).toMatchObject({ runs: 40, updated: 12_480, waits: 80 });
    expect(many.words).toContainEqual({ tracker: 'Velocity', text: 'UD-WEATHER_HOLD', count: 1_400 });
    expect(htmlReport(many)).toContain('All runs');
    expect(plainReport(many)).toContain('Velocity (20 runs)');
  });

  test('they are due at the next full hour, or at the next 6:00 UTC', () => {
    const due = (time: string, reports: 'each' | 'hourly' | 'daily') =>
      digestTime(new Date(time), reports).toISOString();
    expect(due('2026-11-22T14:05:00Z', 'each')).toBe('2026-11-22T14:05:00.000Z');
    expect(due('2026-11-22T14:05:00Z', 'hourly')).toBe('2026-11-22T15:00:00.000Z');
    expect(due('2026-11-22T15:00:00Z', 'hourly')).toBe('2026-11-22T16:00:00.000Z');
    expect(due('2026-11-22T05:59:59Z', 'daily')).toBe('2026-11-22T06:00:00.000Z');
    expect(due('2026-11-22T06:00:00Z', 'daily')).toBe('2026-11-23T06:00:00.000Z');
  });
});

test('shares and durations as people write them', () => {
  expect([
    share(0, 10),
    share(1, 3),
    share(1, 10_000),
    share(9_999, 10_000),
    share(5, 5),
    share(1, 0),
  ]).toEqual(['', '33 %', '< 0.1 %', '99.9 %', '100 %', '']);
  expect([0, 59_400, 60_000, 72_000, 3_600_000, 3_900_000].map(duration)).toEqual([
    '0 s',
    '59 s',
    '1 min',
    '1 min 12 s',
    '1 h',
    '1 h 5 min',
  ]);
});
