import { Redis } from 'ioredis';
import type { TestFleet } from './fleet.ts';

/** R1: everything that the queues hold is gone, wherever they live; workers stay connected. */
export async function emptyQueues({ env, fleet }: TestFleet): Promise<void> {
  if (env.REDIS_URL) {
    const redis = new Redis(env.REDIS_URL);
    await redis.flushdb();
    redis.disconnect();
    return;
  }
  const sql = fleet.db.$client;
  const tables = await sql<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname = 'bullmq' and tablename <> 'migration'`;
  await sql.unsafe(`truncate ${tables.map(({ name }) => name).join(', ')}`);
}
