import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { askedFor, MAX_WAIT_MS, MIN_WAIT_MS, readWait, waitFor } from '../../src/tracking/retry-after.ts';

/** C10 and reference/couriers.md, section 6: the answer's own clock says 12:00, ours is an hour ahead. */
const SENT = Date.UTC(2026, 10, 22, 12, 0, 0);
const NOW = SENT + 3_600_000;
const DATE = 'Sun, 22 Nov 2026 12:00:00 GMT';
const UNIX = SENT / 1000;

const asked = (headers: Record<string, string>, text = '', date: string | null = DATE) =>
  askedFor({ headers: { ...headers, ...(date === null ? {} : { date }) }, text }, NOW);

describe('C10: each header in each of its forms, in seconds', () => {
  test.each<[header: string, value: string, seconds: number | undefined]>([
    ['retry-after', '120', 120],
    ['retry-after', '+7', 7],
    ['retry-after', '1.2', 2],
    ['retry-after', '0', 1],
    ['retry-after', '0.01', 1],
    ['retry-after', '30, 60', 60], // sent twice
    ['retry-after', '1799', 1799],
    ['retry-after', '3600', 1800], // a count of seconds, never a Unix time of 1970
    ['retry-after', '86400', 1800],
    ['retry-after', '999999999', 1800],
    ['retry-after', String(UNIX + 45), 45],
    ['retry-after', String((UNIX + 45) * 1000), 45],
    ['retry-after', 'Sun, 22 Nov 2026 12:01:00 GMT', 60],
    ['retry-after', 'Sun, 22 Nov 2026 12:01:00', 60],
    ['retry-after', 'Sunday, 22-Nov-26 12:01:00 GMT', 60],
    ['retry-after', 'Sun Nov 22 12:01:00 2026', 60],
    ['retry-after', 'Sun Nov  1 12:01:00 2026', undefined],
    ['retry-after', 'Sunday, 06-Nov-94 08:49:37 GMT', undefined], // 1994, not 2094
    ['retry-after', '2026-11-22T12:01:00Z', 60],
    ['retry-after', '2026-11-22T17:31:00+05:30', 60],
    ['retry-after', '2026-11-22T17:31:00+0530', 60],
    ['retry-after', '2026-11-22 12:01:00', 60], // UTC, whatever the host's zone
    ['retry-after', '2026-11-22 12:01:00 UTC', 60],
    ['retry-after', '2026-11-22T12:00:00.5Z', 1],
    ['retry-after', '45s', 45],
    ['retry-after', '1m30s', 90],
    ['retry-after-ms', '1500', 2],
    ['retry-after-ms', '1', 1],
    ['x-ms-retry-after-ms', '2000', 2],
    ['x-retry-after', '12', 12],
    ['x-retry-after', '1s', 1],
    ['x-retry-after', String(UNIX + 9), 9],
    ['x-ratelimit-retry-after', '13', 13],
    ['ratelimit-reset', '14', 14],
    ['ratelimit-reset', String(UNIX + 14), 14],
    ['ratelimit', 'limit=100, remaining=0, reset=30', 30],
    ['ratelimit', 'limit=100;window=60, remaining=0, reset=30.5', 31],
    ['ratelimit', '"default";r=0;t=30', 30],
    ['ratelimit', '"default"; t=31; r=0', 31],
    ['ratelimit', '"burst";r=0;t=5, "daily";r=0;t=40, "hourly";r=7;t=900', 40],
    ['ratelimit', '"default";r=3;t=30', undefined], // three are left: nothing to wait for
    ['x-ratelimit-reset', String(UNIX + 20), 20],
    ['x-ratelimit-reset', String((UNIX + 20) * 1000), 20],
    ['x-ratelimit-reset', '20', 20],
    ['x-ratelimit-reset', 'Sun, 22 Nov 2026 12:00:20 GMT', 20],
    ['x-ratelimit-reset', '2026-11-22T12:00:20Z', 20],
    ['x-rate-limit-reset', String(UNIX + 21), 21],
    ['x-rate-limit-reset', '22', 22],
    ['x-ratelimit-next', '2026-11-22T12:00:23.400Z', 24],
    ['x-ratelimit-reset-after', '1.001', 2],
    ['x-ratelimit-reset-requests', '6m0s', 360],
    ['x-ratelimit-reset-requests', '1h2m3s', 1800],
    ['x-ratelimit-reset-tokens', '250ms', 1],
    ['x-ratelimit-reset-tokens', '1m0.5s', 61],
    ['vendor-ratelimit-requests-reset', '2026-11-22T12:00:25Z', 25],
    ['acme-rate-limit-reset', '26', 26],
  ])('%s: %s', (header, value, seconds) => {
    expect(asked({ [header]: value })).toBe(seconds === undefined ? undefined : seconds * 1000);
  });

  test.each([
    '',
    '-5',
    'NaN',
    'soon',
    'null',
    'Infinity',
    '1e3',
    '0x10',
    '9'.repeat(400),
    '12 apples',
    '31-31-31',
    'May-99',
    '2026-13-45',
    '; t=x',
    '٣',
  ])('a value that is no time ahead counts as none: %s', (value) => {
    expect(asked({ 'retry-after': value })).toBeUndefined();
    // and the next header is read
    expect(asked({ 'retry-after': value, 'x-ratelimit-reset': '9' })).toBe(9_000);
  });

  test('times of the past count as none', () => {
    expect(asked({ 'x-ratelimit-reset': String(UNIX - 1) })).toBeUndefined();
    expect(asked({ 'retry-after': 'Sun, 22 Nov 2026 11:59:59 GMT' })).toBeUndefined();
  });

  test('without a Date our clock is the reference; with one it is not', () => {
    const reset = { 'x-ratelimit-reset': String(NOW / 1000 + 30) };
    expect(asked(reset, '', null)).toBe(30_000);
    expect(asked(reset, '', 'nonsense')).toBe(30_000);
    expect(asked(reset)).toBe(MAX_WAIT_MS);
  });
});

describe('C10: which one counts', () => {
  const all: [string, string][] = [
    ['retry-after', '10'],
    ['retry-after-ms', '11000'],
    ['x-retry-after', '12'],
    ['ratelimit', '"default";r=0;t=13'],
    ['x-ratelimit-reset-after', '14'],
    ['ratelimit-reset', '15'],
    ['x-ratelimit-reset', '16'],
    ['x-rate-limit-reset', '17'],
    ['x-ratelimit-next', '2026-11-22T12:00:18Z'],
    ['x-ratelimit-reset-requests', '19s'],
    ['vendor-ratelimit-reset', '20'],
  ];
  test.each(all.map(([name], index) => [name, index] as const))(
    '%s before those that follow it',
    (_, index) => {
      const rest = all.slice(index);
      expect(asked(Object.fromEntries(rest.reverse()), 'wait 99 seconds')).toBe((10 + index) * 1000);
    },
  );
  test('of two of a kind the longer one', () => {
    expect(asked({ 'x-ratelimit-reset-requests': '1s', 'x-ratelimit-reset-tokens': '6s' })).toBe(6_000);
  });
  test('other headers say nothing', () => {
    expect(
      asked({
        'x-ratelimit-limit': '100',
        'x-ratelimit-remaining': '0',
        age: '30',
        'ratelimit-policy': '"default";q=100;w=60',
      }),
    ).toBeUndefined();
  });
});

describe('C10: what a body says', () => {
  test.each<[string, number | undefined]>([
    ['Throttled, wait 8 seconds.', 8],
    ['{"detail":"Request was throttled. Expected available in 86 seconds."}', 86],
    ['{"message":"Too many requests, please try again in 5 minutes"}', 300],
    ['Please retry after 2 hours', 1800],
    ['retry in 1500 ms', 2],
    ['{"retryAfter":17}', 17],
    ['{"retry_after": "18"}', 18],
    ['{"error":{"retry_after_ms":2500}}', 3],
    ['{"retryAfter":"19s"}', 19],
    ['retry-after=20', 20],
    ['{"retry_after":"2026-11-22T12:00:21Z"}', 21],
    ['Your limit resets at 2026-11-22 12:00:22', 22],
    [`{"message":"reset at ${UNIX + 23}"}`, 23],
    ['{"message":"Too Many Attempts.","status_code":429}', undefined],
    ['<html><body><h1>403 Forbidden</h1></body></html>', undefined],
    ['{"available":true,"count":3}', undefined],
    ['', undefined],
  ])('%s', (text, seconds) => {
    expect(asked({}, text)).toBe(seconds === undefined ? undefined : seconds * 1000);
  });
  test('a header counts more', () => {
    expect(asked({ 'x-ratelimit-reset': '3' }, 'wait 8 seconds')).toBe(3_000);
  });
});

describe('C10: the wait itself', () => {
  const wait = (headers: Record<string, string>, random: number, fallback = 300_000) =>
    waitFor({ headers, text: '' }, fallback, NOW, () => random);
  test('up to a tenth is added, nothing is taken away', () => {
    expect(wait({ 'retry-after': '10' }, 0)).toBe(10_000);
    expect(wait({ 'retry-after': '10' }, 0.5)).toBe(10_500);
    expect(wait({ 'retry-after': '10' }, 0.999)).toBeLessThanOrEqual(11_000);
    expect(wait({}, 0)).toBe(300_000);
  });
  test('never more than half an hour, never less than a second', () => {
    expect(wait({ 'retry-after': '86400' }, 1)).toBe(MAX_WAIT_MS);
    expect(wait({}, 1, 3_600_000)).toBe(MAX_WAIT_MS);
    expect(wait({ 'retry-after': '0' }, 0)).toBe(MIN_WAIT_MS);
    expect(wait({}, 0, 0)).toBe(MIN_WAIT_MS);
  });
});

describe('properties', () => {
  const names = [
    'retry-after',
    'retry-after-ms',
    'x-retry-after',
    'ratelimit',
    'ratelimit-reset',
    'x-ratelimit-reset',
    'x-ratelimit-next',
    'a-ratelimit-reset',
    'date',
    'x',
  ];
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom(
      't=',
      'reset=',
      ';r=0',
      ', ',
      ':',
      '-',
      'GMT',
      'Z',
      's',
      'ms',
      'h',
      'wait ',
      'retry_after',
      '"',
      'Sun',
      'Nov',
    ),
    fc.integer().map(String),
    fc.double().map(String),
    fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  );
  const anything = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''));

  test('whatever comes, it never throws, and the wait is within its bounds', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom(...names), anything),
        anything,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 0, max: 4e12 }),
        (headers, text, random, now) => {
          const ms = waitFor({ headers, text }, 300_000, now, () => random);
          expect(ms).toBeGreaterThanOrEqual(MIN_WAIT_MS);
          expect(ms).toBeLessThanOrEqual(MAX_WAIT_MS);
          expect(Number.isInteger(ms)).toBe(true);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('a count of seconds is that many seconds, whatever the time is', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_800 }),
        fc.integer({ min: 1e12, max: 3e12 }),
        (seconds, now) => {
          expect(readWait(String(seconds), now)).toBe(seconds * 1_000);
          expect(readWait(String(Math.floor(now / 1000) + seconds), Math.floor(now / 1000) * 1000)).toBe(
            seconds * 1_000,
          );
          expect(readWait(new Date(now + seconds * 1_000).toISOString(), now)).toBe(seconds * 1_000);
        },
      ),
    );
  });

  test('long nonsense is read in no time', () => {
    const begun = performance.now();
    for (const bit of ['retry ', '1', 'wait 1', ';t=', 'reset=1,', '"', ' ', '2026-', '1m']) {
      asked({ 'retry-after': bit.repeat(20_000), ratelimit: bit.repeat(20_000) }, bit.repeat(200_000));
    }
    expect(performance.now() - begun).toBeLessThan(1_000);
  });
});
