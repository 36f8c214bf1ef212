import { setTimeout as sleep } from 'node:timers/promises';
import type { Build } from '../support/builds.ts';
import { BOTH, type Case, type Context } from '../support/case.ts';
import { startProgram } from '../support/child.ts';
import { openStore, startTemu, type Temu } from '../support/orders.ts';
import { connect, saveTables, setBack, tidy } from '../support/tables.ts';
import { type Contender, type Figures, medianOf, takeTurns } from '../support/turns.ts';
import type { OrdersMessage } from '../yardsticks/orders.ts';

const BARE = 'bare loop';
const SPEED = 'orders a second';
/** Of the CPU that it used, and made the stores use: what a core does. */
const PER_CPU = 'orders per second of CPU';

/** P7: a store's first sync without a quota. */
export const orders: Case = {
  name: 'orders',
  says: 'a store’s first sync without a quota, beside a bare loop of the same calls and inserts',
  backends: BOTH,
  sizes: { orders: { full: 4_000, quick: 200, says: 'orders of the store' } },
  async run(context) {
    const { stage, ours, theirs, size } = context;
    const temu = await startTemu(stage, size('orders'));
    const bare = await startBareLoop(context, temu);
    const fleets = [await startFleet(context, temu, ours)];
    if (theirs) fleets.push(await startFleet(context, temu, theirs));
    const contenders = [...fleets, bare];
    const { rows, discarded } = await takeTurns(stage, contenders, context);
    for (const { stop } of contenders) await stop();
    await temu.stop();

    const ratio = (figure: string, name: string) =>
      medianOf(rows, ours.name, figure) / medianOf(rows, name, figure);
    return [
      {
        what: 'P7: a store’s first sync without a quota: pages, then price and address of each order',
        size: `${size('orders').toLocaleString('en')} orders, 2 calls each and one a hundred; one store, one worker`,
        rows,
        ratios: [
          { says: 'fleet ÷ bare loop', value: ratio(SPEED, BARE) },
          { says: 'fleet ÷ bare loop, per second of CPU', value: ratio(PER_CPU, BARE) },
          ...(theirs
            ? [
                {
                  says: `fleet ÷ build ${theirs.commit}, per second of CPU`,
                  value: ratio(PER_CPU, theirs.name),
                  goal: { atLeast: 3 },
                },
                { says: `fleet ÷ build ${theirs.commit}`, value: ratio(SPEED, theirs.name) },
              ]
            : []),
        ],
        discarded,
        checked:
          'Temu was asked once for the price and once for the address of every order, every order is stored as Ready for Shipping with all its lines, and none is left to do',
      },
    ];
  },
};

type Running = Contender & { stop(): Promise<void> };

const figures = (orders: number, ms: number, cpu: Record<string, number>, own: string): Figures => ({
  [SPEED]: orders / (ms / 1000),
  [PER_CPU]: orders / ((cpu[own] ?? 0) + (cpu.postgres ?? 0) + (cpu.redis ?? 0) || Number.NaN),
  seconds: ms / 1000,
  'own CPU, s': cpu[own] ?? 0,
  'Postgres’ CPU, s': cpu.postgres ?? 0,
  'Redis’ CPU, s': cpu.redis ?? 0,
  'Temu’s CPU, s': cpu.temu ?? 0,
});

/** Each order was asked for once. */
async function checkCalls(temu: Temu, orders: number): Promise<void> {
  const { calls } = await temu.counts();
  for (const type of ['bg.order.amount.query', 'bg.order.shippinginfo.get'])
    if (calls[type]?.calls !== orders || calls[type].different !== orders)
      throw new Error(`${type}: ${JSON.stringify(calls[type])} for ${orders} orders`);
}

async function startFleet({ stage, backend, size }: Context, temu: Temu, build: Build): Promise<Running> {
  const env = await openStore(stage, backend, temu, build, 'orders', 5_000);
  const sql = connect(env.DATABASE_URL ?? '');
  const wanted = size('orders');
  const { lines } = await temu.counts();
  await saveTables(sql);
  const worker = await build.start('temu', env);
  const own = `${build.name} worker`;
  stage.watch(own, worker.cpu);
  /** From the window's opening until the last order is written. */
  const sync = async () => {
    await build.command(env, 'sync');
    for (;;) {
      const [row] = await sql<{ stored: number }[]>`
        select count(*)::int as stored from temu_order_inbox where state = 'stored'`;
      if (row?.stored === wanted) break;
      await sleep(100);
    }
    const [took] = await sql<{ ms: number }[]>`
      select extract(epoch from max(orders.updated_at) - min(temu_sync_windows.created_at))::float8 * 1000 as ms
      from orders, temu_sync_windows`;
    return took?.ms ?? Number.NaN;
  };
  return {
    name: build.name,
    async turn(measure) {
      await setBack(sql);
      await temu.forget();
      const { result, cpu } = await measure(sync);
      await checkCalls(temu, wanted);
      const [found] = await sql<{ orders: number; lines: number; open: number }[]>`
        select count(*) filter (where status = 'Ready for Shipping')::int as orders,
          (select count(*) from order_item_lines)::int as lines,
          (select count(*) from temu_sync_windows where state = 'open')::int as open from orders`;
      if (found?.orders !== wanted || found.lines !== lines || found.open !== 0)
        throw new Error(`${build.name}: ${JSON.stringify(found)} of ${wanted} orders with ${lines} lines`);
      return { '': figures(wanted, result, cpu, own) };
    },
    async stop() {
      await worker.stop();
      await sql.end();
    },
  };
}

async function startBareLoop({ stage, backend, size }: Context, temu: Temu): Promise<Running> {
  const databaseUrl = await stage.database(`orders_bare_${backend}`);
  const child = await startProgram('yardsticks/orders.ts');
  stage.watch(BARE, child.cpu);
  const send = <T>(message: OrdersMessage) => child.ask<T>(message);
  await send({ do: 'prepare', temu: temu.url, databaseUrl });
  const sql = connect(databaseUrl);
  const wanted = size('orders');
  const { lines } = await temu.counts();
  return {
    name: BARE,
    async turn(measure) {
      await sql`truncate inbox, bought, bought_lines`;
      await tidy(sql);
      await temu.forget();
      const { result, cpu } = await measure(() => send<{ ms: number }>({ do: 'read' }));
      await checkCalls(temu, wanted);
      const [found] = await sql<{ orders: number; lines: number; done: number }[]>`
        select (select count(*) from bought)::int as orders, (select count(*) from bought_lines)::int as lines,
          count(*) filter (where done)::int as done from inbox`;
      if (found?.orders !== wanted || found.lines !== lines || found.done !== wanted)
        throw new Error(`${BARE}: ${JSON.stringify(found)} of ${wanted} orders with ${lines} lines`);
      return { '': figures(wanted, result.ms, cpu, BARE) };
    },
    async stop() {
      await child.stop();
      await sql.end();
    },
  };
}
