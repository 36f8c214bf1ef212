import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { FaultAction } from '../../../sandbox/temu/faults.ts';
import { shipByHand } from '../../../sandbox/temu/shipment.ts';
import { awbCreatedEvent } from '../../../src/client/index.ts';
import { settings } from '../../../src/config/settings.ts';
import { ClaimLost } from '../../../src/leases/claim.ts';
import { enqueueDue } from '../../../src/leases/enqueue.ts';
import { minutes, seconds } from '../../../src/queue/define.ts';
import { AWB_TIMINGS, claimPushes, markSending, ofOrder } from '../../../src/temu/awb/claim.ts';
import { pushes } from '../../../src/temu/awb/enqueue.ts';
import { recordEvent } from '../../../src/temu/awb/ingest-event.ts';
import { settlePushes } from '../../../src/temu/awb/push-store.ts';
import { awbCreated, awbPush } from '../../../src/temu/awb/queues.ts';
import { retryPushes } from '../../../src/temu/awb/retry.ts';
import {
  type AwbOrder,
  type AwbShop,
  type AwbStand,
  CONFIRM,
  READ_BACK,
  startAwbStand,
} from './awb-harness.ts';

/** A6: every number on Temu once, whatever happens to calls, answers and workers. */
let stand: AwbStand;
let shop: AwbShop;
const HOUR = minutes(60);

beforeAll(async () => {
  stand = await startAwbStand();
  shop = await stand.addShop();
});
afterEach(() => stand.sandbox.faults.clear());
afterAll(() => stand?.close());

async function orderWithAwb(): Promise<{ order: AwbOrder; awb: string }> {
  const order = await stand.addOrder(shop);
  const awb = stand.newAwb();
  await stand.created(order, awb);
  return { order, awb };
}

const jobsOf = async ({ id }: AwbOrder) => {
  const jobs = await stand.deps.queues.raw('awb-push').getJobs(['prioritized']);
  return jobs.filter(({ data }) => data.orderId === id).length;
};

/** Types of the calls about an order that Temu has heard, in their order; a lost one counts. */
const calls = (order: AwbOrder) =>
  stand.sandbox.ledger
    .entries({ parentOrderSn: order.sn })
    .flatMap(({ type }) => (type === CONFIRM ? 'confirm' : type === READ_BACK ? 'ask' : []));

describe('a lost answer', () => {
  test.each<[string, FaultAction, ReturnType<typeof calls>]>([
    ['is cut off after the deed', { kind: 'lostAnswer' }, ['confirm', 'ask']],
    ['breaks off in the middle', { kind: 'answerThenCut' }, ['confirm', 'ask']],
    ['comes too late', { kind: 'delay', ms: 1_300 }, ['confirm', 'ask']],
    ['does not come, the deed is done', { kind: 'timeout', ms: 1_300, handled: true }, ['confirm', 'ask']],
    ['is JSON that ends in the middle', { kind: 'truncatedJson' }, ['confirm', 'ask']],
    ['is not UTF-8', { kind: 'invalidUtf8' }, ['confirm', 'ask']],
    ['is HTML after the deed', { kind: 'html', status: 502, handled: true }, ['confirm', 'ask']],
    ['is HTTP 500 after the deed', { kind: 'status', status: 500, handled: true }, ['confirm', 'ask']],
    ['is of another shape', { kind: 'wrongJson', body: [], handled: true }, ['confirm', 'ask']],
    [
      'is 7000000 although it is done',
      { kind: 'error', errorCode: 7_000_000, errorMsg: 'BUSINESS_SERVICE_ERROR', handled: true },
      ['confirm', 'ask'],
    ],
    ['was never made: cut before the deed', { kind: 'cut' }, ['confirm', 'ask', 'ask', 'confirm']],
    ['was never made: a time-out', { kind: 'timeout', ms: 1_300 }, ['confirm', 'ask', 'ask', 'confirm']],
    ['is HTML instead of the deed', { kind: 'html', status: 200 }, ['confirm', 'ask', 'ask', 'confirm']],
    [
      'is HTTP 500 instead of the deed',
      { kind: 'status', status: 500 },
      ['confirm', 'ask', 'ask', 'confirm'],
    ],
    [
      'is 7000000 instead of the deed',
      { kind: 'error', errorCode: 7_000_000, errorMsg: 'BUSINESS_SERVICE_ERROR' },
      ['confirm', 'ask', 'ask', 'confirm'],
    ],
    [
      'is a system error at the inner level',
      { kind: 'innerError', errorCode: 4_000_000, errorMsg: 'system error' },
      ['confirm', 'ask', 'ask', 'confirm'],
    ],
  ])('A6: one that %s: Temu is asked, and the number takes effect once', async (_, action, expected) => {
    const { order, awb } = await orderWithAwb();
    stand.fault(action);
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({
      state: 'unknown',
      error: expect.stringContaining('lost'),
    });
    expect(await stand.row(order)).toMatchObject({ sent: false, error: expect.any(String) });
    const [push] = await stand.pushOn(order);
    expect(push).toMatchObject({ state: 'sent', error: null, toldAt: null });
    expect(stand.sandbox.effects.told(awb).accepted).toBe(1);
    expect(calls(order)).toEqual(expected);
    expect(await stand.row(order)).toMatchObject({ sent: true, error: null });
  });

  test('A6: a deed that is done after we gave up is waited for and not repeated', async () => {
    const { order, awb } = await orderWithAwb();
    stand.fault({ kind: 'delay', ms: 1_500, late: true });
    await stand.push(order);
    stand.advance(seconds(6));
    await stand.push(order); // too early: Temu has nothing yet
    expect(await stand.only(order)).toMatchObject({ state: 'unknown' });
    await new Promise((done) => setTimeout(done, 700)); // the late deed itself; the fleet's clock does not matter here
    const [push] = await stand.pushOn(order);
    expect(push).toMatchObject({ state: 'sent' });
    expect(stand.sandbox.effects.told(awb)).toEqual({ arrived: 1, accepted: 1 });
  });

  test('A6: until a minute has passed "not there" is not believed', async () => {
    const { order } = await orderWithAwb();
    stand.fault({ kind: 'cut' });
    await stand.push(order);
    for (let second = 6; second < 60; second += 9) {
      stand.advance(seconds(9));
      await stand.push(order);
    }
    expect(stand.confirms(order)).toBe(1);
    stand.advance(seconds(15));
    await stand.push(order);
    expect(stand.confirms(order)).toBe(2);
  });

  test('A6: while Temu does not answer the question nothing is sent, also after the deadline and a retry by hand', async () => {
    const { order, awb } = await orderWithAwb();
    stand.fault({ kind: 'delay', ms: 1_200 }); // done, and its answer lost
    await stand.push(order);
    stand.fault({ kind: 'html', status: 502 }, { type: READ_BACK, times: 100 });
    await stand.pushOn(order, 4);
    expect(await stand.only(order)).toMatchObject({ state: 'unknown', toldAt: expect.any(Date) });
    stand.advance(minutes(60 * 49)); // the ship-by date has passed
    await stand.pushOn(order, 2);
    expect(await stand.only(order)).toMatchObject({ state: 'parked' });
    await retryPushes(stand.deps, { order: order.sn });
    await stand.push(order);
    expect(stand.confirms(order)).toBe(1);
    stand.sandbox.faults.clear();
    await retryPushes(stand.deps, { order: order.sn });
    expect(await stand.pushOn(order)).toMatchObject([{ state: 'sent' }]);
    expect(stand.sandbox.effects.told(awb)).toEqual({ arrived: 1, accepted: 1 });
  });

  test('A6: a lease and the time until "not there" is believed outlast any time-out by half a minute', () => {
    const allowed = (timeout: string) => settings.shape.TEMU_TIMEOUT.safeParse(timeout).success;
    const longest = Array.from({ length: 600 }, (_, index) => index + 1).filter((one) => allowed(`${one}`));
    for (const ms of [AWB_TIMINGS.leaseMs, AWB_TIMINGS.believeMissingMs])
      expect(ms - seconds(longest.at(-1) ?? Number.NaN)).toBeGreaterThanOrEqual(seconds(30));
  });

  test('R10: an outage of a minute ends before the lease of what was told does, and before the job that writes it', () => {
    const needed = seconds(60 + 15); // and until the worker has found Postgres again
    for (const ms of [AWB_TIMINGS.leaseMs, awbCreated.timeoutMs, awbPush.timeoutMs])
      expect(ms).toBeGreaterThanOrEqual(needed);
    expect(AWB_TIMINGS.leaseMs + seconds(15)).toBeLessThan(seconds(120)); // R2: with the sweep behind it
  });

  test('A6: another number there is a conflict for a person, with both numbers, and nothing is sent', async () => {
    const { order, awb } = await orderWithAwb();
    stand.fault({ kind: 'cut' });
    await stand.push(order);
    shipByHand(stand.sandbox.world, shop.shop.name, order.sn, { trackingNumber: 'FOREIGN1' });
    const [push] = await stand.pushOn(order);
    expect(push).toMatchObject({ state: 'parked' });
    expect(push?.error).toMatch(new RegExp(`FOREIGN1.*${awb}`));
    expect(stand.confirms(order)).toBe(1);
    expect(await stand.notices(order, 'awb-not-sent')).toHaveLength(1);
  });

  test('A6: a refusal because the request never left is no lost answer: nothing is asked', async () => {
    const { order } = await orderWithAwb();
    const away = await startAwbStandDeps();
    await stand.push(order, away.deps);
    expect(await stand.only(order)).toMatchObject({ state: 'pending', toldAt: null, attempts: 1 });
    await away.close();
    expect(await stand.pushOn(order)).toMatchObject([{ state: 'sent' }]);
    expect(calls(order)).toEqual(['confirm']);
  });
});

/** Deps whose calls of Temu find a closed port; the lists of carriers and warehouses are kept from before. */
async function startAwbStandDeps() {
  const { order } = await orderWithAwb();
  await stand.push(order); // the lists
  const { openFleet } = await import('../../../src/fleet/index.ts');
  const { parseConfig } = await import('../../../src/config/index.ts');
  const { freePort } = await import('../../support/until.ts');
  const url = `http://127.0.0.1:${await freePort()}/router`;
  const fleet = openFleet(
    parseConfig({
      ...stand.stack.env,
      TEMU_EU_URL: url,
      TEMU_US_URL: url,
      TEMU_GLOBAL_URL: url,
      LOG_LEVEL: 'silent',
    }),
    'away',
  );
  return { deps: { ...stand.deps, temu: fleet.temu }, close: () => fleet.close() };
}

describe('several workers', () => {
  test('A6: two workers at once: one tells, the other has nothing to do', async () => {
    const { order, awb } = await orderWithAwb();
    stand.fault({ kind: 'delay', ms: 300 });
    const outcomes = await Promise.allSettled([stand.push(order), stand.push(order), stand.push(order)]);
    expect(outcomes.filter((one) => one.status === 'fulfilled' && one.value.outcome === 'sent')).toHaveLength(
      1,
    );
    expect(stand.sandbox.effects.told(awb)).toEqual({ arrived: 1, accepted: 1 });
  });

  test('A6: a claim that was taken over can neither send nor write', async () => {
    const { order, awb } = await orderWithAwb();
    const stale = await claimPushes(stand.deps, order.id, false);
    if (!stale) throw new Error('nothing was claimed');
    const ids = stale.pushes.map(({ id }) => id);
    expect(await claimPushes(stand.deps, order.id, false)).toBeUndefined();
    stand.advance(stand.deps.timings.leaseMs + 1);
    const fresh = await claimPushes(stand.deps, order.id, false);
    expect(fresh?.pushes.map(({ awbNumber }) => awbNumber)).toEqual([awb]);

    const before = await stand.only(order);
    await expect(markSending(stand.deps, stale, ids)).rejects.toThrow(ClaimLost);
    const outcomes = [
      { state: 'sent' } as const,
      { state: 'rejected', error: 'no' } as const,
      { state: 'parked', error: 'no', untilOrderChanges: true } as const,
      { state: 'unknown', error: 'lost', dueAt: new Date() } as const,
      { state: 'pending', error: null, dueAt: new Date(), spent: false } as const,
    ];
    for (const outcome of outcomes)
      await expect(settlePushes(stand.deps, stale, ids, outcome)).rejects.toThrow(ClaimLost);
    expect(await stand.only(order)).toEqual(before);
    expect(await stand.row(order)).toMatchObject({ sent: false, error: null });
    expect(await stand.notices(order)).toEqual([]);

    if (!fresh) throw new Error('nothing was claimed');
    await markSending(stand.deps, fresh, ids);
    await settlePushes(stand.deps, fresh, ids, { state: 'sent' });
    expect(await stand.only(order)).toMatchObject({ state: 'sent' });
    await expect(settlePushes(stand.deps, fresh, ids, { state: 'rejected', error: 'no' })).rejects.toThrow(
      ClaimLost,
    );
  });

  test('A6: a claim that lost one of its parcels writes none of them', async () => {
    const order = await stand.addOrder(shop, { units: [2] });
    const item = { orderItemId: order.lines[0]?.orderSn ?? '', quantity: 1 };
    for (const awb of [stand.newAwb(), stand.newAwb()]) await stand.created(order, awb, { items: [item] });
    const claim = await claimPushes(stand.deps, order.id, false);
    if (!claim) throw new Error('nothing was claimed');
    const ids = claim.pushes.map(({ id }) => id);
    await stand.stack.sql`update temu_pushes set claim = ${crypto.randomUUID()} where id = ${ids[1] ?? ''}`;
    await expect(markSending(stand.deps, claim, ids)).rejects.toThrow(ClaimLost);
    await expect(settlePushes(stand.deps, claim, ids, { state: 'sent' })).rejects.toThrow(ClaimLost);
    const rows = await stand.pushes(order);
    expect(rows.map(({ state }) => state)).toEqual(['sending', 'sending']);
    expect(rows.find(({ awb }) => awb === claim.pushes[1]?.awbNumber)?.toldAt).toBeNull();
  });

  test('A6: a worker that stalls before its request leaves does not send once another has taken over', async () => {
    const { order, awb } = await orderWithAwb();
    let takenOver = false;
    // the stall: time passes while the first worker looks up its carrier
    const stalling = {
      ...stand.deps,
      temu: {
        ...stand.deps.temu,
        call: async (...args: Parameters<typeof stand.deps.temu.call>) => {
          if (args[1] === 'confirmShipment' && !takenOver) {
            takenOver = true;
            stand.advance(stand.deps.timings.leaseMs + 1);
            await stand.push(order);
          }
          return await stand.deps.temu.call(...args);
        },
      },
    };
    expect(await stand.push(order, stalling)).toEqual({ outcome: 'taken over by another worker' });
    expect(await stand.only(order)).toMatchObject({ state: 'sent', attempts: 2 });
    expect(stand.sandbox.effects.told(awb)).toEqual({ arrived: 1, accepted: 1 });
  });

  test('A6: what a dead worker left behind after sending is asked about', async () => {
    const { order, awb } = await orderWithAwb();
    const dead = {
      ...stand.deps,
      temu: {
        ...stand.deps.temu,
        call: async (...args: Parameters<typeof stand.deps.temu.call>) => {
          const answer = await stand.deps.temu.call(...args);
          if (args[1] === 'confirmShipment') await new Promise(() => undefined); // never writes its outcome
          return answer;
        },
      },
    };
    void stand.push(order, dead);
    await expect.poll(() => stand.sandbox.effects.told(awb).accepted).toBe(1);
    expect(await stand.only(order)).toMatchObject({ state: 'sending', toldAt: expect.any(Date) });
    expect(await stand.push(order).catch((error) => error)).not.toMatchObject({ outcome: 'sent' });
    stand.advance(stand.deps.timings.leaseMs + 1);
    expect(await stand.push(order)).toMatchObject({ outcome: 'sent' });
    expect(calls(order)).toEqual(['confirm', 'ask']);
  });

  test('A6: an AWB that comes while a worker has the order is told when it is done', async () => {
    const { order, awb } = await orderWithAwb();
    const claim = await claimPushes(stand.deps, order.id, false);
    if (!claim) throw new Error('nothing was claimed');
    const second = stand.newAwb();
    await stand.created(order, second);
    // its job finds the order taken: it must not end as if all were done, since its id is used up for an hour
    await expect(stand.push(order)).rejects.toMatchObject({ name: 'Wait' });
    await markSending(
      stand.deps,
      claim,
      claim.pushes.map(({ id }) => id),
    );
    await settlePushes(
      stand.deps,
      claim,
      claim.pushes.map(({ id }) => id),
      { state: 'parked', error: `${awb} no`, untilOrderChanges: false },
    );
    expect(await stand.push(order)).toMatchObject({ outcome: 'sent', awbs: second });
  });

  test('A6: two AWBs of an order in one millisecond have a job each; offered once more they have the same', async () => {
    const order = await stand.addOrder(shop, { units: [1, 1] });
    const now = Math.floor(stand.deps.clock() / HOUR) * HOUR; // two minutes later it is the same hour
    const frozen = { ...stand.deps, clock: () => now };
    for (const { orderSn } of order.lines)
      await recordEvent(
        frozen,
        awbCreatedEvent.parse({
          ...{ orderId: order.id, awbNumber: stand.newAwb() },
          items: [{ orderItemId: orderSn, quantity: 1 }],
        }),
      );
    expect(await jobsOf(order)).toBe(2);
    expect(
      await enqueueDue({ ...stand.deps, clock: () => now + minutes(2) }, pushes, {
        where: ofOrder(order.id),
      }),
    ).toBe(2); // both of them, in one job
    expect(await jobsOf(order)).toBe(2);
  });

  test('R1: a push whose job’s id was used up has another job in the next hour', async () => {
    const { order } = await orderWithAwb();
    expect(await jobsOf(order)).toBe(1);
    stand.advance(HOUR);
    expect(await enqueueDue(stand.deps, pushes, { where: ofOrder(order.id) })).toBe(1);
    expect(await jobsOf(order)).toBe(2);
  });

  test('A6: a job that is a moment early, as by another machine’s clock, comes back', async () => {
    const { order } = await orderWithAwb();
    const behind = { ...stand.deps, clock: () => stand.deps.clock() - 5_000 };
    await expect(stand.push(order, behind)).rejects.toMatchObject({ name: 'Wait' });
    expect(await stand.push(order)).toMatchObject({ outcome: 'sent' });
  });

  test('R1: a job that the scheduler’s clock made 15 s early waits for its pushes', async () => {
    const { order } = await orderWithAwb();
    const ahead = { ...stand.deps, clock: () => stand.deps.clock() + seconds(20) };
    const dueAt = new Date(stand.deps.clock() + seconds(15));
    await stand.stack.sql`update temu_pushes set due_at = ${dueAt} where order_id = ${order.id}`;
    expect(await enqueueDue(ahead, pushes, { where: ofOrder(order.id) })).toBe(1);
    const early = await stand.push(order).catch((error) => error);
    expect(early).toMatchObject({ name: 'Wait' });
    expect(early.ms).toBeGreaterThan(seconds(10));
    stand.advance(early.ms);
    expect(await stand.push(order)).toMatchObject({ outcome: 'sent' });
  });

  test('R2: so does one that was made for the end of a dead worker’s lease; while the worker lives there is nothing to do', async () => {
    const { order } = await orderWithAwb();
    if (!(await claimPushes(stand.deps, order.id, false))) throw new Error('nothing was claimed');
    stand.advance(stand.deps.timings.leaseMs - seconds(15));
    expect(await stand.push(order)).toEqual({ outcome: 'nothing to do' });
    const ahead = { ...stand.deps, clock: () => stand.deps.clock() + seconds(20) };
    expect(await enqueueDue(ahead, pushes, { where: ofOrder(order.id) })).toBe(1);
    await expect(stand.push(order)).rejects.toMatchObject({ name: 'Wait' });
    stand.advance(seconds(15));
    expect(await stand.push(order)).toMatchObject({ outcome: 'sent' });
  });
});
