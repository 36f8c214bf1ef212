import { afterEach, describe, expect, test } from 'vitest';
import type { CourierEntry } from '../../sandbox/couriers/ledger.ts';
import { startRun } from '../../src/tracking/index.ts';
import { queueOf } from '../../src/tracking/queues.ts';
import { emptyQueues } from '../support/empty-queues.ts';
import { type RunningProcess, startProcess } from '../support/process.ts';
import { oneBackend } from '../support/redis.ts';
import { startTrackingStand, type TrackingStand } from '../support/tracking.ts';
import { until } from '../support/until.ts';

const API = 'delhivery-b2b';
/** A request that left before the answer was read may still arrive. */
const ON_ITS_WAY_MS = 300;
/** A busy machine is that late at times. */
const LATE_MS = 3_000;

let stand: TrackingStand;
const desk = () => stand.sandbox.couriers.api[API];
const arrivals = () => desk().ledger.entries({ kind: 'track' });

async function startWorker(): Promise<RunningProcess> {
  const worker = startProcess('tests/support/tracking-worker.ts', { env: stand.stack.env });
  await worker.waitForLine(/started/);
  return worker;
}

async function parcels(count: number): Promise<void> {
  const { parcels } = stand.sandbox.couriers;
  await stand.book(parcels.addMany({ api: API, count, mix: { ndr: 1 }, days: 0.5, seed: parcels.size() }));
}

/**
 * From when that answer had left to the next request that was not on its way already.
 * @param knownAt when the fleet knew of it, epoch milliseconds: a busy machine reads an answer late
 */
function pauseAfter(entry: CourierEntry, knownAt = 0) {
  const from = entry.at + (entry.ms ?? 0);
  const next = arrivals().find(({ at }) => at > Math.max(from, knownAt) + ON_ITS_WAY_MS);
  return next && next.at - from;
}
const cooldownEnd = async () => {
  const [row] = await stand.stack.sql<
    { until: string | null }[]
  >`select waiting_until::text as until from trackers where name = ${API}`;
  return row?.until ?? null;
};
const toldToWait = () => until(() => arrivals().find(({ outcome }) => outcome === 'fault:limited'));

afterEach(async () => {
  await stand?.close();
});

describe.each(oneBackend())('C10: HTTP 429, queues on %s', (backend) => {
  test('stops the queue in all processes for that long, cuts requests off, and outlives workers and queue store', async () => {
    stand = await startTrackingStand(backend, { [API]: { latencyMs: 100 } });
    const sql = stand.stack.sql;
    await parcels(40);
    // two processes: that one and this one
    const worker = await startWorker();
    const here = stand.work();
    desk().faults.add({
      on: 'track',
      after: 10,
      times: 1,
      do: { kind: 'limited', status: 429, headers: { 'Retry-After': '4' } },
    });
    // in flight when the word comes, however busy the machine
    desk().faults.add({ on: 'track', after: 6, times: 3, do: { kind: 'hang' } });
    await stand.start(API);
    const told = await toldToWait();

    // a scheduled run meanwhile is skipped, and says why
    await until(async () => (await sql`select from trackers where waiting_until > now()`).length === 1);
    await sql`update trackers set next_run_at = now() - interval '1 second' where name = ${API}`;
    await stand.tick();
    const [tracker] = await sql<
      { skipped: string; reason: string; turn: boolean }[]
    >`select skipped_reason as skipped, waiting_reason as reason, next_run_at > now() as turn from trackers where name = ${API}`;
    expect(tracker).toEqual({
      skipped: expect.stringMatching(/^rate-limit cooldown until .* UTC \(HTTP 429\)$/),
      reason: 'HTTP 429',
      turn: true,
    });

    // no worker and no queue remembers it: the database does
    await Promise.all([worker.kill(), here.stop(200)]);
    desk().settings.latencyMs = 0;
    await emptyQueues(stand.stack);
    await sql`update tracking_batches set offered_at = offered_at - interval '2 minutes'`;
    await startWorker();
    const startedMs = Date.now() - told.at - (told.ms ?? 0);
    const ended = await until(
      async () => {
        await stand.tick();
        const run = await stand.lastRun(API);
        return run.state === 'finished' && run;
      },
      { timeoutMs: 45_000, what: 'the run to end' },
    );

    const pause = pauseAfter(told) ?? 0;
    expect(pause).toBeGreaterThan(4_000);
    expect(pause).toBeLessThan(Math.max(4_400, startedMs) + LATE_MS);
    const cut = arrivals().filter(({ outcome }) => outcome === 'fault:hang');
    expect(cut.map(({ status }) => status)).toEqual([null, null, null]);
    // well before they would have been given up
    for (const { at, ms } of cut)
      expect(at + (ms ?? Number.POSITIVE_INFINITY)).toBeLessThan(told.at + 4_000 + LATE_MS);
    expect(ended).toMatchObject({ planned: 40, failed: 0, waits: 1 });
    expect(ended.updated + ended.unchanged + ended.not_found).toBe(40);
    const attempts = await sql`select state, attempts, count(*)::int as n from tracking_batches
        where cardinality(shipment_ids) > 0 group by 1, 2`; // a feed's has none
    expect(attempts).toEqual([{ state: 'done', attempts: 1, n: 40 }]);
  });
});

describe('C10: what the answer says', () => {
  const http = (ms: number) => new Date(ms).toUTCString();
  type Told = { status?: number; headers?: Record<string, string>; body?: string };
  const forms: [form: string, told: () => Told, leastMs: number, mostMs: number][] = [
    ['Retry-After in seconds', () => ({ headers: { 'Retry-After': '1' } }), 1_000, 1_100],
    ['Retry-After as a date', () => ({ headers: { 'Retry-After': http(Date.now() + 2_000) } }), 1_000, 2_200],
    [
      'a Unix time',
      () => ({ headers: { 'X-RateLimit-Reset': String(Math.ceil(Date.now() / 1000) + 1) } }),
      1_000,
      2_200,
    ],
    ['a structured field', () => ({ headers: { RateLimit: '"default";r=0;t=1' } }), 1_000, 1_100],
    ['403 that says how long', () => ({ status: 403, headers: { 'Retry-After': '1' } }), 1_000, 1_100],
  ];

  test('is kept in each of its forms, by all workers', async () => {
    stand = await startTrackingStand('postgres', { [API]: { latencyMs: 20 } });
    await parcels(100);
    stand.work();
    stand.work();
    await stand.start(API);
    for (const [form, told, leastMs, mostMs] of forms) {
      const before = await cooldownEnd();
      desk().ledger.reset();
      desk().faults.clear();
      desk().faults.add({ on: 'track', after: 6, times: 1, do: { kind: 'limited', status: 429, ...told() } });
      const entry = await toldToWait();
      await until(async () => (await cooldownEnd()) !== before, { what: `${form} to be known` });
      const knownAt = Date.now();
      const pause = await until(() => pauseAfter(entry, knownAt), { what: `the pause after ${form} to end` });
      expect([form, pause > leastMs, Math.max(pause, mostMs + LATE_MS)]).toEqual([
        form,
        true,
        mostMs + LATE_MS,
      ]);
    }
    desk().settings.latencyMs = 0;
    const ended = await stand.ended(API);
    expect(ended).toMatchObject({ planned: 100, failed: 0, waits: forms.length });
  });

  test.each([
    [429, 5],
    [403, 8],
  ])('HTTP %i without a word of it: %i minutes', async (status, minutes) => {
    stand = await startTrackingStand('postgres');
    const sql = stand.stack.sql;
    await parcels(5);
    stand.work();
    desk().faults.add({ on: 'track', times: 1, do: { kind: 'limited', status } });
    await stand.start(API);
    await until(async () => (await sql`select from trackers where waiting_until is not null`).length === 1);
    const [wait] = await sql<{ s: number }[]>`
      select extract(epoch from waiting_until - now())::int as s from trackers where name = ${API}`;
    expect(wait?.s).toBeGreaterThan(minutes * 60 - 5);
    expect(wait?.s).toBeLessThanOrEqual(minutes * 66);
    const runs = startRun(stand.deps, stand.tracker(API));
    expect(await runs).toMatchObject({ is: 'skipped', reason: expect.stringContaining(`HTTP ${status}`) });

    await stand.later((minutes * 66 + 1) * 1000);
    await stand.ended(API);
    // the next run may have begun by then
    expect(await sql`select planned, failed, waits from tracking_runs order by started_at limit 1`).toEqual([
      { planned: 5, failed: 0, waits: 1 },
    ]);
  });

  test.each([
    ['HTTP 403', 'track', 403, true],
    ['its login', 'login', 429, true],
    ['its limit', 'track', 429, false],
  ] as const)(
    'three waits in a row for %s: whether a person hears of it, once, until it works again',
    async (_what, on, status, heard) => {
      stand = await startTrackingStand('postgres');
      const sql = stand.stack.sql;
      await parcels(5);
      stand.work();
      const fault = desk().faults.add({ on, do: { kind: 'limited', status } });
      await stand.start(API);
      const stopped = () =>
        sql<{ state: string }[]>`select state from notices where kind = 'tracker-stopped'`;
      for (const waits of [1, 2, 3, 4]) {
        // a login that the word of the last cooldown cuts off, since half an hour passes here in a moment, keeps its lease of 30 s
        await until(async () => (await stand.lastRun(API)).waits === waits, { timeoutMs: 50_000 });
        expect((await stopped()).length).toBe(heard && waits >= 3 ? 1 : 0);
        if (waits === 4) fault.remove();
        await stand.later(31 * 60_000);
      }
      await stand.ended(API);
      expect(await stopped()).toEqual(heard ? [{ state: 'withdrawn' }] : []);
    },
  );
});

test('C1: two processes at a small limit: the sliding window refuses nothing, and the limit is used', async () => {
  stand = await startTrackingStand(
    'postgres',
    { [API]: { limit: { max: 20, perSeconds: 1 } } },
    { DELHIVERY_B2B_LIMIT: '18/1' },
  );
  await parcels(72);
  await Promise.all([startWorker(), startWorker()]);
  const begun = performance.now();
  await stand.start(API);
  const run = await stand.ended(API);
  const ms = performance.now() - begun;
  const { limited, tracking } = desk().ledger.summary();
  expect({ limited, tracking, failed: run.failed, waits: run.waits, requests: run.requests }).toEqual({
    limited: 0,
    tracking: 72,
    failed: 0,
    waits: 0,
    requests: 72,
  });
  expect(desk().ledger.peak(1000)).toBeLessThanOrEqual(20);
  // three seconds by the limit, and what a busy machine needs
  expect(ms).toBeLessThan(15_000);
});

test('C10: what waits in a limited queue stays there until the cooldown ends', async () => {
  stand = await startTrackingStand('postgres', {}, { DELHIVERY_B2B_LIMIT: '18/1' });
  await parcels(30);
  stand.work();
  desk().faults.add({
    on: 'track',
    after: 5,
    times: 1,
    do: { kind: 'limited', status: 429, headers: { 'Retry-After': '3' } },
  });
  await stand.start(API);
  await toldToWait();
  const { queues } = stand.deps;
  await until(async () => (await queues.raw(`tracking-${API}`).getRateLimitTtl()) > 1_000);
  expect(await queues.takeable(queueOf(stand.tracker(API)))).toBe(0);
  expect(await stand.ended(API)).toMatchObject({ planned: 30, failed: 0, waits: 1 });
});
