import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CourierName, Parcel } from '../../sandbox/couriers/model.ts';
import { createRandom } from '../../sandbox/random.ts';
import { enqueueDue } from '../../src/leases/enqueue.ts';
import { batchesOf } from '../../src/tracking/engine/claim.ts';
import { emptyQueues } from '../support/empty-queues.ts';
import { reapProcesses, startProcess } from '../support/process.ts';
import { oneBackend } from '../support/redis.ts';
import { TEST_SQL } from '../support/sql.ts';
import { startTrackingStand, type TrackingStand } from '../support/tracking.ts';
import { until } from '../support/until.ts';

/** Consignments, one a request, and ten times as many parcels, fifty a request. The acceptance runs it with 2000. */
const PARCELS = Number(process.env.PARCELS ?? 50);
const APIS = ['delhivery-b2b', 'delhivery-b2c'] as const satisfies CourierName[];
const KILL_EVERY_MS = 2_000;
/** A batch that ends its worker twenty times is given up, by rule: on a busy machine all may meet the same one. */
const KILLS = Math.max(6, PARCELS / 25);

describe.each(oneBackend())('C3, R1, R2: a run ends once, queues on %s', (backend) => {
  let stand: TrackingStand;
  let booked: Parcel[];

  beforeAll(async () => {
    // slow answers: there is a "during the request" to be killed in
    stand = await startTrackingStand(backend, {
      'delhivery-b2b': { latencyMs: 80, limit: null },
      'delhivery-b2c': { latencyMs: 400, limit: null },
    });
    const { parcels } = stand.sandbox.couriers;
    booked = [
      ...parcels.addMany({ api: 'delhivery-b2b', count: PARCELS, seed: 3, days: 20 }),
      ...parcels.addMany({ api: 'delhivery-b2c', count: 10 * PARCELS, seed: 4, days: 20 }),
    ];
    await stand.book(booked);
  });
  afterAll(async () => {
    await stand?.close();
    await reapProcesses();
  });

  test('workers killed at random, the queue store emptied, connections to Postgres cut', async () => {
    const sql = stand.stack.sql;
    const random = createRandom(7);
    let going = true;
    const over = new AbortController();
    let kills = 0;

    /** A worker that is killed after a while of work, or dies of something, and is started again. */
    async function killed() {
      while (going) {
        const worker = startProcess('tests/support/tracking-worker.ts', { env: stand.stack.env });
        const up = await worker.waitForLine(/started/, { timeoutMs: 60_000 }).catch(() => undefined);
        if (up) {
          const ms = kills < KILLS ? KILL_EVERY_MS * (0.5 + random.next()) : timeoutMs;
          const life = sleep(ms, undefined, { signal: over.signal });
          await Promise.race([worker.exited, life.catch(() => {})]);
        }
        await worker.kill('SIGKILL');
        kills++;
      }
    }
    async function sweep() {
      while (going) {
        for (const api of APIS)
          await enqueueDue(stand.deps, batchesOf(stand.tracker(api)), { againMs: 2_000 }).catch(() => {});
        await sleep(300);
      }
    }
    const ended = async (part: number) => {
      const [row] = await sql<{ part: number }[]>`
        select avg((state = 'done')::int)::float as part from tracking_batches`;
      return !going || (row?.part ?? 0) >= part;
    };
    const timeoutMs = 240_000;
    async function disasters() {
      await until(() => ended(0.25), { timeoutMs });
      await emptyQueues(stand.stack);
      await until(() => ended(0.6), { timeoutMs });
      await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and application_name not in ('orderfleet test', ${TEST_SQL})`;
    }

    for (const api of APIS) await stand.start(api);
    const chaos = Promise.all([killed(), killed(), sweep(), disasters()]);
    try {
      await until(async () => (await sql`select from tracking_runs where state = 'running'`).length === 0, {
        timeoutMs,
        what: 'both runs to end',
      });
    } finally {
      going = false;
      over.abort();
      await chaos;
    }

    for (const api of APIS) {
      const run = await stand.lastRun(api);
      const { planned, updated, unchanged, not_found, mismatched, unmapped } = run;
      expect(run.errors).toEqual({});
      expect(run).toMatchObject({
        planned: booked.filter((one) => one.api === api).length,
        failed: 0,
      });
      expect(updated + unchanged + not_found + mismatched + unmapped).toBe(planned);
      const [events] = await sql`
        select count(*)::int as all, count(distinct e.shipment_id)::int as parcels
        from shipment_events e join shipments s on s.id = e.shipment_id where coalesce(s.tracked_by, ${api}) = ${api}
          and (s.lr_number is not null) = ${api === 'delhivery-b2b'}`;
      // each change once
      expect(events).toEqual({ all: updated, parcels: updated });
    }
    const rows = await sql<{ number: string; status: string; asked: boolean; word: string | null }[]>`
      select coalesce(lr_number, awb_number) as number, status, last_tracked_at is not null as asked,
        unmapped_word as word from shipments`;
    const shipments = new Map(rows.map((row) => [row.number, row]));
    const truth = (number: string) => stand.sandbox.couriers.parcels.truth(number).status;
    const wrong = booked.filter(({ number, life }) => {
      const row = shipments.get(number);
      if (!row?.asked) return true;
      // C6: a word that no table has changes nothing
      return row.word ? life !== 'strangeWord' || row.status !== 'pending' : row.status !== truth(number);
    });
    expect(wrong).toEqual([]);
    expect(
      await sql`select kind, payload->>'tracker' as tracker from notices where kind = 'tracking-report' order by 2`,
    ).toEqual([...APIS].sort().map((tracker) => ({ kind: 'tracking-report', tracker })));
    expect(await sql`select tracker from tracking_runs order by 1`).toHaveLength(2);
    const [tries] = await sql<{ most: number; sum: number }[]>`
      select max(attempts)::int as most, sum(attempts - 1)::int as sum from tracking_batches`;
    expect(kills).toBeGreaterThan(0);
    console.log(`${backend}: ${booked.length} parcels, ${kills} kills, ${tries?.sum} batches asked again`);
  }, 300_000);
});
