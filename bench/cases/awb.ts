import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Measured } from '../../docs/performance.ts';
import { BOTH, type Case, type Context } from '../support/case.ts';
import { startProgram } from '../support/child.ts';
import { addPastPushes, openStore, startTemu, type Temu } from '../support/orders.ts';
import { connect, saveTables, setBack, tidy } from '../support/tables.ts';
import { type Contender, type Figures, medianOf, percentile, takeTurns } from '../support/turns.ts';
import { type AwbMessage, type BareEvent, CHANNEL, LIST } from '../yardsticks/awb.ts';

const BARE = 'bare consumer';
const CONFIRM = 'bg.logistics.shipment.v2.confirm';
/** The first second fills caches and opens connections. */
const WARM_UP_SECONDS = 1;
/** Orders whose numbers Temu has already: nobody plans statements for empty tables. */
const PAST = 20_000;
/** So long without another number at Temu, and the rest is missing. */
const PATIENCE_MS = 60_000;

/** P6: from enqueueing an AWB to its request reaching Temu. */
export const awb: Case = {
  name: 'awb',
  says: 'from enqueueing an AWB number to its request at Temu, beside a bare consumer',
  backends: BOTH,
  sizes: {
    seconds: { full: 30, quick: 3, says: 'seconds of one run' },
    rate: { full: 100, quick: 20, says: 'events a second' },
    most: { full: 300, quick: 40, says: 'events a second that must be sustained' },
  },
  async run(context) {
    const { stage, size } = context;
    const rates = [size('rate'), size('most')];
    const count = (rate: number) => rate * (size('seconds') + WARM_UP_SECONDS);
    const temu = await startTemu(stage, count(Math.max(...rates)));
    const contenders = [await startFleet(context, temu), await startBare(context, temu)];
    const measured: Measured[] = [];
    for (const rate of rates) {
      const first = rate === rates[0];
      const { rows, discarded } = await takeTurns(
        stage,
        contenders.map(({ name, turn }) => ({
          name,
          turn: (measure) => turn(measure, count(rate), rate),
        })),
        context,
      );
      const [fleet, bare] = contenders.map(({ name }) => name) as [string, string];
      const p99 = medianOf(rows, fleet, 'p99, ms');
      measured.push({
        what: first
          ? 'P6: from enqueueing an AWB number to its request reaching Temu, at the usual rate'
          : 'P6: the same at the rate that must be sustained',
        size: `${rate} events a second for ${size('seconds')} s, in an even stream, from another process`,
        rows,
        ratios: [
          { says: 'p99, ms', value: p99, ...(first ? { goal: { below: 50 } } : {}) },
          { says: 'p99 ÷ the bare consumer’s', value: p99 / medianOf(rows, bare, 'p99, ms') },
          {
            says: 'after the last event, ms until the last request',
            value: medianOf(rows, fleet, 'last one after, ms'),
            ...(first ? {} : { goal: { below: 1_000 } }),
          },
        ],
        discarded,
        checked: 'Temu was told of every number once, and every push is recorded as sent',
      });
    }
    for (const { stop } of contenders) await stop();
    await temu.stop();
    return measured;
  },
};

interface Running {
  name: string;
  turn(
    measure: Parameters<Contender['turn']>[0],
    count: number,
    rate: number,
  ): Promise<Record<string, Figures>>;
  stop(): Promise<void>;
}

/** Milliseconds of the clock, finer than Date.now(). */
const now = () => performance.timeOrigin + performance.now();

const numbersOf = (count: number) => Array.from({ length: count }, (_, no) => `BENCH${1_000_000 + no}`);

/** Sends the numbers in an even stream, and waits until Temu has been told of all. @returns when each was enqueued */
async function stream(
  temu: Temu,
  numbers: readonly string[],
  rate: number,
  send: (number: string, no: number) => Promise<unknown>,
): Promise<Map<string, number>> {
  const enqueuedAt = new Map<string, number>();
  const startedAt = performance.now();
  const sends: Promise<unknown>[] = [];
  for (const [no, number] of numbers.entries()) {
    const wait = startedAt + (no * 1000) / rate - performance.now();
    if (wait > 0) await sleep(wait);
    enqueuedAt.set(number, now());
    sends.push(send(number, no));
  }
  await Promise.all(sends);
  let [told, toldAt] = [0, performance.now()];
  while (told < numbers.length) {
    const now = (await temu.counts()).calls[CONFIRM]?.different ?? 0;
    if (now > told) [told, toldAt] = [now, performance.now()];
    else if (performance.now() - toldAt > PATIENCE_MS)
      throw new Error(`Temu was told of ${told} of ${numbers.length} numbers`);
    await sleep(200);
  }
  return enqueuedAt;
}

async function latencies(
  temu: Temu,
  enqueuedAt: ReadonlyMap<string, number>,
  rate: number,
): Promise<Figures> {
  const arrivals = await temu.arrivals();
  const all = [...enqueuedAt].map(([number, at]) => (arrivals[number] ?? Number.NaN) - at);
  const times = all.slice(rate * WARM_UP_SECONDS).sort((a, b) => a - b);
  const lastSent = Math.max(...enqueuedAt.values());
  return {
    'p50, ms': percentile(times, 0.5),
    'p99, ms': percentile(times, 0.99),
    'slowest, ms': times.at(-1) ?? Number.NaN,
    'last one after, ms': Math.max(...Object.values(arrivals)) - lastSent,
  };
}

/** An event's CPU is its consumer's and Postgres': a machine that others use as well does not change it much. */
function cpuFigures(cpu: Record<string, number>, own: string, events: number): Figures {
  const { [own]: its = 0, postgres = 0, redis = 0 } = cpu;
  return {
    'own CPU, s': its,
    'Postgres’ CPU, s': postgres,
    'Redis’ CPU, s': redis,
    'CPU of an event, ms': ((its + postgres) * 1000) / events,
  };
}

async function checkTold(temu: Temu, count: number): Promise<void> {
  const told = (await temu.counts()).calls[CONFIRM];
  if (told?.calls !== count || told.different !== count)
    throw new Error(`Temu was told ${JSON.stringify(told)} for ${count} numbers`);
}

async function startFleet({ stage, backend, ours }: Context, temu: Temu): Promise<Running> {
  const env = await openStore(stage, backend, temu, ours, 'awb', 500);
  const sql = connect(env.DATABASE_URL ?? '');
  const syncing = await ours.start('temu', env);
  await ours.command(env, 'sync', '--wait');
  await syncing.stop();
  const orders = await sql<{ id: string }[]>`select id from orders order by id`;
  await addPastPushes(sql, PAST);
  await saveTables(sql);
  const worker = await ours.start('awb', env);
  const own = `${ours.name} worker`;
  stage.watch(own, worker.cpu);
  const client = await ours.client(env);
  return {
    name: ours.name,
    async turn(measure, count, rate) {
      await setBack(sql);
      await temu.forget();
      // a job's id is its event, and known ones are dropped: each turn has numbers of its own
      const turn = Date.now().toString(36).toUpperCase();
      const numbers = numbersOf(count).map((number) => `${number}${turn}`);
      const { result, cpu } = await measure(() =>
        stream(temu, numbers, rate, (awbNumber, no) =>
          client.awbCreated({ orderId: orders[no]?.id ?? '', awbNumber, carrier: 'sameday' }),
        ),
      );
      await checkTold(temu, count);
      for (let tries = 0; ; tries++) {
        const [row] = await sql<{ sent: number }[]>`
          select count(*)::int as sent from temu_pushes where state = 'sent' and sent_at > now() - interval '1 day'`;
        if (row?.sent === count) break;
        if (tries === 50) throw new Error(`${row?.sent} of ${count} pushes are recorded as sent`);
        await sleep(100); // the outcome is written after the answer
      }
      return { '': { ...(await latencies(temu, result, rate)), ...cpuFigures(cpu, own, count) } };
    },
    async stop() {
      await client.close();
      await worker.stop();
      await sql.end();
    },
  };
}

async function startBare({ stage, backend }: Context, temu: Temu): Promise<Running> {
  const databaseUrl = await stage.database(`awb_bare_${backend}`);
  const redisUrl = stage.queues(backend).REDIS_URL;
  const child = await startProgram('yardsticks/awb.ts');
  stage.watch(BARE, child.cpu);
  const send = (message: AwbMessage) => child.ask<unknown>(message);
  await send({ do: 'prepare', temu: temu.url, databaseUrl, redisUrl });
  const sql = connect(databaseUrl);
  const redis = redisUrl ? new Redis(redisUrl) : undefined;
  redis?.on('error', (error) => console.error(error.message));
  const enqueue = async (event: BareEvent) => {
    if (redis) await redis.lpush(LIST, JSON.stringify(event));
    else
      await sql`
        with made as (insert into events (awb, "order") values (${event.awb}, ${event.order}))
        select pg_notify(${CHANNEL}, '')`;
  };
  return {
    name: BARE,
    async turn(measure, count, rate) {
      await send({ do: 'forget' });
      await tidy(sql);
      await temu.forget();
      const { result, cpu } = await measure(() =>
        stream(temu, numbersOf(count), rate, (number, no) => enqueue({ awb: number, order: `PO-${no}` })),
      );
      await checkTold(temu, count);
      return { '': { ...(await latencies(temu, result, rate)), ...cpuFigures(cpu, BARE, count) } };
    },
    async stop() {
      redis?.disconnect();
      await child.stop();
      await sql.end();
    },
  };
}
