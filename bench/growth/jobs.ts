import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Measured, Row } from '../../docs/performance.ts';
import { parseConfig } from '../../src/config/index.ts';
import { openFleet } from '../../src/fleet/index.ts';
import { awbPush } from '../../src/temu/awb/queues.ts';
import { temuOrders } from '../../src/temu/orders/index.ts';
import { queueOf } from '../../src/tracking/index.ts';
import { commonSettings } from '../support/builds.ts';
import type { Context } from '../support/case.ts';
import { connect } from '../support/tables.ts';
import { measuredOnce, once } from './rows.ts';

const AT_ONCE = 1_000;

/** What jobs that wait take in the store of the queues, on both of them. */
export async function jobs({ stage, ours }: Context, count: number): Promise<Measured> {
  const rows: Row[] = [];
  let most = 0;
  for (const backend of ['redis', 'postgres'] as const) {
    const env = {
      ...commonSettings(),
      ...stage.queues(backend),
      ...{ DATABASE_URL: await stage.database('jobs'), TRACKERS: 'none' },
    };
    await ours.command(env, 'migrate');
    const fleet = openFleet(parseConfig(env), 'bench');
    const sql = connect(env.DATABASE_URL);
    const redis = 'REDIS_URL' in env ? new Redis(String(env.REDIS_URL)) : undefined;
    const used = async (): Promise<number> => {
      if (redis) return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
      const [row] = await sql<{ bytes: number }[]>`
        select coalesce(sum(pg_total_relation_size(oid)), 0)::float8 as bytes from pg_class
        where relkind = 'r' and relnamespace = to_regnamespace('bullmq')`;
      return row?.bytes ?? 0;
    };
    const kinds = {
      'temu-orders, five orders': [
        temuOrders,
        () => ({ v: 1, storeId: randomUUID(), parentOrderSn: number(), more: [1, 2, 3, 4].map(number) }),
        5,
      ],
      'awb-push': [awbPush, () => ({ v: 1, orderId: randomUUID() }), 1],
      'a tracker’s batch': [
        queueOf({ name: 'delhivery-b2c', atOnce: 1, limit: undefined }),
        (no: number) => ({ v: 1, runId: randomUUID(), no, size: 50 }),
        undefined,
      ],
    } as const;
    for (const [name, [queue, payload, priority]] of Object.entries(kinds)) {
      await fleet.queues.counts(queue); // its keys, or its tables, are there
      const before = await used();
      const { cpu, others } = await stage.measure(async () => {
        for (let from = 0; from < count; from += AT_ONCE)
          await fleet.queues.add<never>(
            queue as never,
            Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, nth) => ({
              id: `${randomUUID()}-${from + nth}`,
              payload: payload(from + nth) as never,
              ...(priority ? { priority } : {}),
            })),
          );
      });
      most = Math.max(most, others);
      rows.push(
        once(`${name}, ${backend === 'redis' ? 'Redis' : 'Postgres'}`, {
          'bytes a job': ((await used()) - before) / count,
          'added, µs of CPU of the store': ((cpu[backend] ?? 0) * 1e6) / count,
        }),
      );
    }
    redis?.disconnect();
    await fleet.close();
    await sql.end();
  }
  return measuredOnce(
    {
      what: 'P10: bytes of a job that waits, in Redis and in Postgres',
      size: `${count.toLocaleString('en')} jobs of each kind, ${AT_ONCE.toLocaleString('en')} added at once; nobody takes them`,
      rows,
      checked: 'the store’s own count of its memory, or of its tables’ files, before and after',
    },
    most,
  );
}

const number = (): string => `PO-076-${Math.floor(Math.random() * 1e16)}`;
