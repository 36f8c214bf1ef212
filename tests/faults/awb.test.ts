import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRandom } from '../../sandbox/random.ts';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';
import { generateOrders } from '../../sandbox/temu/generator.ts';
import { createClient } from '../../src/client/index.ts';
import { enqueueDue } from '../../src/leases/enqueue.ts';
import { pushes } from '../../src/temu/awb/enqueue.ts';
import { emptyQueues } from '../support/empty-queues.ts';
import { addShopAsStore, startTestFleet, type TestFleet } from '../support/fleet.ts';
import { SHOP, storeReadyOrders } from '../support/orders.ts';
import { type RunningProcess, reapProcesses, startProcess } from '../support/process.ts';
import { oneBackend } from '../support/redis.ts';
import { until } from '../support/until.ts';

/** The acceptance runs the same file with EVENTS=2000. */
const EVENTS = Number(process.env.EVENTS ?? 100);
/** Events a second: a worker lives long enough to be killed in the middle of something. */
const RATE = Number(process.env.RATE ?? 50);
const BURST = 5;
const KILL_EVERY_MS = 1_500;
const KILLS = Math.max(3, EVENTS / 25);

describe.each(oneBackend())('A6, R1, R2: every number is told once, queues on %s', (backend) => {
  let sandbox: Sandbox;
  let stack: TestFleet;

  beforeAll(async () => {
    // 40 ms an answer: there is a "during the request" to be killed in
    sandbox = await startSandbox({ qps: 1000, latencyMs: 40 });
    stack = await startTestFleet(backend, sandbox.routers, { TEMU_QPS: '200', TEMU_TIMEOUT: '2' });
    const shop = sandbox.world.addShop(SHOP);
    const orders = generateOrders({
      seed: 3,
      count: EVENTS,
      shop,
      now: Date.now(),
      days: 5,
      scenarios: [{ name: 'plain', weight: 1, status: 2, updated: 'old' }],
    });
    sandbox.world.addOrders(shop, orders);
    await storeReadyOrders(stack, await addShopAsStore(stack, shop), orders);
  });
  afterAll(async () => {
    await stack?.close();
    await reapProcesses();
    await sandbox?.close();
  });

  test('every tenth answer lost, workers killed at random, the queue store emptied, each event sent twice', async () => {
    const { fleet, env, sql } = stack;
    const random = createRandom(11);
    sandbox.faults.add({
      match: { type: 'bg.logistics.shipment.v2.confirm' },
      probability: 0.1,
      do: { kind: 'lostAnswer' },
    });
    const orders = await sql<
      { id: string; sn: string }[]
    >`select id, marketplace_order_id as sn from orders order by 2`;
    const events = orders.map(({ id }, index) => ({
      orderId: id,
      awbNumber: `KILL${10_000 + index}`,
      carrier: 'sameday',
    }));

    let going = true;
    let kills = 0;
    // in the middle, once most events are recorded
    const emptied = until(async () => !going || (await sql`select from shipments`).length > EVENTS / 2, {
      timeoutMs: 240_000,
    }).then(() => emptyQueues(stack));
    const chaos = Promise.all([killNowAndThen(), sweepNowAndThen(), emptied]);

    async function killNowAndThen() {
      // a worker gets its second of work before it is killed, also where starting one takes long
      const start = async () => {
        const worker = startProcess('tests/support/awb-worker.ts', { env });
        await worker.waitForLine(/started/, { timeoutMs: 60_000 });
        return worker;
      };
      const workers: RunningProcess[] = await Promise.all([start(), start()]);
      while (going && kills < KILLS) {
        await sleep(KILL_EVERY_MS * (0.5 + random.next()));
        if (!going) break;
        const turn = kills % 2;
        await (workers[turn] as RunningProcess).kill('SIGKILL');
        kills++;
        workers[turn] = await start();
      }
      while (going) await sleep(100);
      await Promise.all(workers.map((worker) => worker.kill('SIGKILL')));
    }
    async function sweepNowAndThen() {
      while (going) {
        await enqueueDue(fleet, pushes, { againMs: 3_000 }).catch(() => {}); // the queue store may be away this very moment
        await sleep(500);
      }
    }

    const client = createClient(
      env.REDIS_URL ? { redisUrl: env.REDIS_URL } : { databaseUrl: env.DATABASE_URL ?? '' },
    );
    try {
      await enqueueAll();
      await untilAtRest();
    } finally {
      going = false;
      await client.close();
      await chaos;
    }

    async function enqueueAll() {
      // some at once, so that workers are killed with groups in their hands
      for (let first = 0; first < EVENTS; first += BURST) {
        await Promise.all(events.slice(first, first + BURST).map((event) => client.awbCreated(event)));
        await sleep((BURST * 1000) / RATE);
      }
      await emptied;
      // the second time, and with it what was lost with the queue before anything could be recorded
      for (const event of events) await client.awbCreated(event);
    }
    async function untilAtRest() {
      await until(
        async () => {
          const open = await sql`select state, error from temu_pushes where state not in ('sent', 'parked')`;
          const [made] = await sql<{ n: number }[]>`select count(*)::int as n from temu_pushes`;
          if (open.length > 0 || made?.n !== EVENTS)
            throw new Error(`${made?.n} pushes, open: ${JSON.stringify(open.slice(0, 3))} (${open.length})`);
          return true;
        },
        { timeoutMs: 240_000, what: 'every push to come to rest' },
      );
    }

    const states = await sql`select state, count(*)::int as n from temu_pushes group by state`;
    expect(states).toEqual([{ state: 'sent', n: EVENTS }]);
    const summary = sandbox.effects.summary();
    expect(summary.numbersAcceptedAgain).toEqual([]);
    expect(summary.ordersWithSeveralNumbers).toEqual([]);
    for (const { awbNumber } of events)
      expect([awbNumber, sandbox.effects.told(awbNumber).accepted]).toEqual([awbNumber, 1]);
    // not even a second try was refused: Temu was asked before anything was sent again
    expect(summary.refused).toEqual({});
    expect(kills).toBeGreaterThan(0);
    console.log(`${backend}: ${EVENTS} events, ${kills} kills, ${JSON.stringify(summary)}`.slice(0, 400));
  }, 300_000);
});
