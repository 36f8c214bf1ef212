import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { enqueueDue } from '../../src/leases/enqueue.ts';
import { LEASE_MS } from '../../src/tracking/deps.ts';
import {
  type Batch,
  batchesOf,
  createClaimer,
  explainUnclaimedBatch,
  retryBatch,
} from '../../src/tracking/engine/claim.ts';
import { giveUpRun } from '../../src/tracking/engine/runs.ts';
import { suspendTracker } from '../../src/tracking/engine/suspend.ts';
import { startRun } from '../../src/tracking/index.ts';
import { startTrackingStand, type TrackingStand } from '../support/tracking.ts';

const B2C = 'delhivery-b2c';

let stand: TrackingStand;
beforeAll(async () => {
  stand = await startTrackingStand('postgres');
});
afterEach(() => stand.empty());
afterAll(() => stand?.close());

/** A batch of a run that has begun, as machines see it whose clocks are at times of their own. */
async function batch() {
  await stand.parcel(B2C);
  const tracker = stand.tracker(B2C);
  const begun = stand.now();
  const started = await startRun(stand.deps, tracker);
  const job = { v: 1 as const, runId: started.is === 'started' ? started.runId : '', no: 0 };
  const at = (ms: number) => ({ ...stand.deps, clock: () => begun + ms });
  return {
    claim: (ms: number) => createClaimer(at(ms), tracker, LEASE_MS)(job, false),
    giveBack: (ms: number, claim: Batch, inMs: number) => retryBatch(at(ms), claim, inMs, 'for the moment'),
    offer: (ms: number) => enqueueDue(at(ms), batchesOf(tracker)),
    whyNot: (ms: number) => explainUnclaimedBatch(at(ms), tracker, job),
  };
}
const NEEDLESS = { outcome: 'nothing to do' };
const waits = (ms: number) => expect.objectContaining({ name: 'Wait', ms });

test('R1: a dead worker’s batch, offered by a clock that is ahead: its job waits for the end of the lease', async () => {
  const { claim, offer, whyNot } = await batch();
  expect(await claim(1_000)).toMatchObject({ attempts: 1 });
  const leaseEnds = 1_000 + LEASE_MS;
  // the worker lives as far as one knows: a job delivered twice is needless
  expect(await whyNot(leaseEnds - 20_000)).toEqual(NEEDLESS);
  expect(await offer(leaseEnds - 1)).toBe(0);
  expect(await offer(leaseEnds + 5_000)).toBe(1);
  // a worker whose clock is behind the scheduler's
  expect(await claim(leaseEnds - 20_000)).toBeUndefined();
  await expect(whyNot(leaseEnds - 20_000)).rejects.toEqual(waits(20_000));
  expect(await claim(leaseEnds)).toMatchObject({ attempts: 2 });
  // the new worker's lease lies beyond the offer
  expect(await whyNot(leaseEnds)).toEqual(NEEDLESS);
});

test('R1: of two jobs of one batch that come together, one gets it', async () => {
  await stand.parcel(B2C);
  const tracker = stand.tracker(B2C);
  const started = await startRun(stand.deps, tracker);
  const job = { v: 1 as const, runId: started.is === 'started' ? started.runId : '', no: 0 };
  const claim = createClaimer(stand.deps, tracker, LEASE_MS);
  const claimed = await Promise.all([claim(job, false), claim(job, false), claim({ ...job, no: 7 }, false)]);
  expect(claimed).toMatchObject([{ no: 0, attempts: 1 }, undefined, undefined]);
});

test('R1: a batch that comes again soon is waited for, one that comes later is offered then', async () => {
  const { claim, giveBack, whyNot } = await batch();
  for (const [inMs, outcome] of [
    [30_000, undefined],
    [90_000, NEEDLESS],
  ] as const) {
    const held = await claim(600_000);
    if (!held) throw new Error('it is due');
    await giveBack(600_000, held, inMs);
    if (outcome) expect(await whyNot(600_000)).toEqual(outcome);
    else await expect(whyNot(600_000)).rejects.toEqual(waits(30_000));
    await stand.stack.sql`update tracking_batches set due_at = ${new Date(stand.now())}`;
  }
});

test('C11: a worker that is refused late, for a run that is over, does not stop the new try', async () => {
  await stand.parcel(B2C);
  const tracker = stand.tracker(B2C);
  const begin = async () => {
    const started = await startRun(stand.deps, tracker);
    if (started.is === 'skipped') throw new Error(started.reason);
    return { v: 1 as const, runId: started.runId, no: 0 };
  };
  const { db } = stand.deps;
  const refused = (runId: string, ms = 0) =>
    db.transaction((tx) => suspendTracker(tx, tracker, runId, 'refused', stand.now() + ms));
  const claim = (job: Awaited<ReturnType<typeof begin>>) =>
    createClaimer(stand.deps, tracker, LEASE_MS)(job, true);
  const alerts = () => db.$client`select from notices where kind = 'tracker-stopped'`;

  const first = await begin();
  expect(await claim(first)).toBeDefined();
  await refused(first.runId);
  expect(await claim(first)).toBeUndefined();
  expect(await alerts()).toHaveLength(1);
  await db.transaction((tx) => giveUpRun(tx, first.runId, 'refused', new Date(stand.now())));

  const second = await begin();
  await refused(first.runId, 5_000);
  expect(await claim(second)).toBeDefined();
  // the new try's own refusal, told by a clock that is behind
  await refused(second.runId, -60_000);
  expect(await claim(second)).toBeUndefined();
  expect(await alerts()).toHaveLength(1);
});
