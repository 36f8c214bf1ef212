import { afterAll, beforeAll, expect, test } from 'vitest';
import { LEASE_MS } from '../../src/tracking/deps.ts';
import { type Batch, createClaimer } from '../../src/tracking/engine/claim.ts';
import { createSettler } from '../../src/tracking/engine/settle.ts';
import { startRun } from '../../src/tracking/index.ts';
import { startTrackingStand, type TrackingStand } from '../support/tracking.ts';

const B2C = 'delhivery-b2c';

let stand: TrackingStand;
beforeAll(async () => {
  stand = await startTrackingStand('postgres');
});
afterAll(() => stand?.close());

test('R3, P5: responses that come together are written together; one whose claim is lost is alone with that', async () => {
  const { sql } = stand.stack;
  await stand.book(stand.sandbox.couriers.parcels.addMany({ api: B2C, count: 250, seed: 1, days: 1 }));
  const tracker = stand.tracker(B2C);
  const started = await startRun(stand.deps, tracker);
  if (started.is !== 'started') throw new Error('not started');
  const claim = createClaimer(stand.deps, tracker, LEASE_MS);
  const claimed = (no: number) => claim({ v: 1, runId: started.runId, no }, false) as Promise<Batch>;
  const batches = await Promise.all([0, 1, 2, 3, 4].map(claimed));
  await sql`update tracking_batches set claim = gen_random_uuid() where no = 3`;

  const settle = createSettler(stand.deps, tracker);
  const settled = await Promise.allSettled(
    batches.map((batch) => settle({ batch, items: new Map(), requests: 1 })),
  );
  const outcome = { outcome: 'tracked', parcels: 50, notFound: 50, failed: 0, requests: 1 };
  expect(settled).toMatchObject(
    batches.map(({ no }) =>
      no === 3
        ? { status: 'rejected', reason: { name: 'ClaimLost' } }
        : { status: 'fulfilled', value: outcome },
    ),
  );
  const asked = await sql`select from shipments where last_tracked_at is not null`;
  expect(asked).toHaveLength(200);
  expect(await stand.lastRun(B2C)).toMatchObject({ state: 'running', not_found: 200, requests: 4 });

  // without a fault the rest of them is one transaction: rows carry the number of the one that wrote them
  await sql`update tracking_batches set claim = ${batches[3]?.claim.token ?? ''} where no = 3`;
  await settle({ batch: batches[3] as Batch, items: new Map(), requests: 1 });
  expect(await stand.lastRun(B2C)).toMatchObject({ state: 'finished', not_found: 250, requests: 5 });
});

test('P5: what comes together is one transaction', async () => {
  const { sql } = stand.stack;
  await stand.empty();
  await stand.book(stand.sandbox.couriers.parcels.addMany({ api: B2C, count: 250, seed: 2, days: 1 }));
  const tracker = stand.tracker(B2C);
  const started = await startRun(stand.deps, tracker);
  if (started.is !== 'started') throw new Error('not started');
  const [settle, claim] = [createSettler(stand.deps, tracker), createClaimer(stand.deps, tracker, LEASE_MS)];
  const batches = await Promise.all(
    [0, 1, 2, 3, 4].map((no) => claim({ v: 1, runId: started.runId, no }, false)),
  );
  await Promise.all(batches.map((batch) => settle({ batch: batch as Batch, items: new Map(), requests: 1 })));
  const transactions = await sql<{ batches: number }[]>`
    select count(*)::int as batches from tracking_batches group by xmin::text order by 1`;
  expect(transactions).toEqual([{ batches: 5 }]);
});
