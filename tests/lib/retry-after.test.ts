import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  askedFor,
  longestIn,
  MAX_WAIT_MS,
  MIN_WAIT_MS,
  readWait,
  waitFor,
} from '../../src/lib/retry-after.ts';

/** C10: the answer's own clock says 12:00, ours is an hour ahead. */
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
    // sent twice, or written for people: as short as one part of it is never what was asked
    ['retry-after', '5, 9', 9],
    ['retry-after', '10, 10', 10],
    ['retry-after', '+5', 5],
    ['retry-after', '+5, +9', 9],
    ['retry-after', '1,5', 5],
    ['retry-after', '1,200', 1200],
    ['retry-after', '900 seconds', 900],
    ['retry-after', '15 minutes', 900],
    ['retry-after', '600 sec', 600],
    ['retry-after', '1,200 seconds', 1200],
    ['retry-after', '1,5 min', 90],
    ['retry-after', '1 minute 30 seconds', 90],
    ['retry-after', '1 min, 30 sec', 90],
    ['retry-after', '0 hours and 20 mins', 1200],
    ['retry-after', '1 day', 1800],
    ['retry-after', '1200;', 1200],
    ['retry-after', '"1200"', 1200],
    ['retry-after', "'20s'.", 20],
    ['retry-after', 'PT20M', 1200],
    ['retry-after', 'PT22M27.84S', 1348],
    ['retry-after', 'pt1m30s', 90],
    ['retry-after', 'PT1,5M', 90],
    ['retry-after', 'P1DT2H', 1800],
    ['retry-after', '00:20:00', 1200],
    ['retry-after', '00:00:45.5', 46],
    ['retry-after', '1.00:00:00', 1800],
    ['retry-after', 'Sun, 22 Nov 2026 12:01:00 -0000', 60], // as Python's formatdate writes it
    ['retry-after', 'Sun, 22 Nov 2026 12:01:00 +0000', 60],
    ['retry-after', 'Sun, 22 Nov 2026 17:31:00 +0530', 60],
    ['retry-after', 'Sun, 22 Nov 2026 17:31:00 +05:30', 60],
    ['retry-after', 'Sun, 22 Nov 2026 07:01:00 -0500', 60],
    ['retry-after', '22 Nov 2026 12:01:00 GMT', 60],
    ['retry-after', '2026-11-22T14:01:00+02', 60],
    ['retry-after', '"2026-11-22T12:01:00Z"', 60],
    ['retry-after-ms', '1500', 2],
    ['retry-after-ms', '1', 1],
    ['retry-after-ms', '1500, 9000', 9],
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
    '12 months',
    'PT',
    'P',
    'P1Y',
    'PT-5M',
    '20:00', // minutes and seconds, or a time of the day
    '1:2:3:4',
    '900 seconds or so',
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
    // whole durations, as many clients meet them
    ['Rate limit reached. Please try again in 22m27.84s. Visit …', 1348],
    ['Please try again in 1m12.5s.', 73],
    ['Please try again in 6m0s.', 360],
    ['Please try again in 1m0s', 60],
    ['try again in 2h3m', 1800],
    ['Please try again in 7.66s.', 8],
    ['please try again in 950ms', 1],
    ['You must wait 1 minute 30 seconds before posting again', 90],
    ['Try again in 1 min 30 sec', 90],
    ['Try again in 2 minutes and 5 seconds.', 125],
    ['Please wait 1,200 seconds', 1200],
    ['Please wait at least 2 minutes between requests', 120],
    ['Wait 1-2 minutes', 120],
    ['Wait 30 to 60 seconds', 60],
    ['The limit resets in 90 seconds', 90],
    ['You are blocked for 15 minutes', 900],
    ['100 requests in 60 seconds are allowed. Try again in 5 seconds', 5],
    ['{"retryAfterSeconds": 40}', 40],
    ['{"retry_after_seconds":"41"}', 41],
    ['{"retryAfterMs": 42000}', 42],
    ['{"retry_after_minutes":2}', 120],
    ['{"error":{"details":[{"retryDelay": "34s"}]}}', 34],
    ['{"retry_in": 35, "limit": 100}', 35],
    ['{"wait_seconds": 36}', 36],
    ['{"retry_after": "PT2M"}', 120],
    ['{"retry_after": "900 seconds"}', 900],
    ['{"message":"wait 8 seconds","retry_after":60}', 60], // the longer of two
    ['Try again at 2026-11-22T12:02:00Z.', 120],
    ['Try again at 2026-11-22 17:32:00 +0530', 120],
    ['Try again at Sun, 22 Nov 2026 12:02:00 GMT', 120],
    ['Try again after Sunday, 22-Nov-26 12:02:00 GMT, please', 120],
    ['Blocked until Sun Nov 22 12:02:00 2026', 120],
    ['{"retry_after":"2026-11-22 12:00:21"}', 21],
    ['{"retry_at":"Sun, 22 Nov 2026 12:02:00 +0000"}', 120],
    [`available again at ${UNIX + 50}`, 50],
    ['Try again at 2026-11-22T11:00:00Z', undefined], // past
    ['{"retry": 3, "retries": 4}', undefined], // tries
    ['Try again later. 5 of 10 requests failed', undefined],
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

test('C10: what a complaint of speed names, whatever it says of it: the longest', () => {
  expect(longestIn('Rate limit: 100 calls in 60 seconds, or 20 minutes for you')).toBe(1_200_000);
  expect(longestIn('slow down, 1 minute 30 seconds')).toBe(90_000);
  expect(longestIn('Too Many Attempts.')).toBeUndefined();
});

test('C12: Slack and receivers of webhooks may ask for more than couriers, up to what is given', () => {
  const hour = 3_600_000;
  expect(askedFor({ headers: { 'retry-after': '3000' }, text: '' }, NOW, hour)).toBe(3_000_000);
  expect(askedFor({ headers: { 'retry-after': '50 minutes' }, text: '' }, NOW, hour)).toBe(3_000_000);
  expect(askedFor({ headers: {}, text: 'try again in 50 minutes' }, NOW, hour)).toBe(3_000_000);
  expect(askedFor({ headers: { 'retry-after': '999999999' }, text: '' }, NOW, hour)).toBe(hour);
});

test('C10: where a limit with something left ends says nothing, but in a 429', () => {
  const headers = { 'x-ratelimit-remaining': '59', 'x-ratelimit-reset': '1200' };
  expect(askedFor({ status: 500, headers, text: '' }, NOW)).toBeUndefined();
  expect(askedFor({ status: 429, headers, text: '' }, NOW)).toBe(1_200_000);
  const used = { ...headers, 'x-ratelimit-remaining': '0' };
  expect(askedFor({ status: 503, headers: used, text: '' }, NOW)).toBe(1_200_000);
  const two = {
    'x-ratelimit-remaining-requests': '59',
    'x-ratelimit-reset-requests': '9m0s',
    'x-ratelimit-remaining-tokens': '0',
    'x-ratelimit-reset-tokens': '6m0s',
  };
  expect(askedFor({ status: 503, headers: two, text: '' }, NOW)).toBe(360_000);
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
    for (const bit of [
      'retry ',
      '1',
      'wait 1',
      ';t=',
      'reset=1,',
      '"',
      ' ',
      '2026-',
      '1m',
      '1,',
      '1 s ',
      'wait ',
      '1,000',
    ]) {
      asked({ 'retry-after': bit.repeat(20_000), ratelimit: bit.repeat(20_000) }, bit.repeat(200_000));
    }
    expect(performance.now() - begun).toBeLessThan(1_000);
  });
});
