import { Redis } from 'ioredis';
import type { TestFleet } from './fleet.ts';
import { until } from './until.ts';

/** R1: everything that the queues hold is gone, wherever they live; workers stay connected. */
export async function emptyQueues({ env, sql }: TestFleet): Promise<void> {
  if (env.REDIS_URL) {
    const redis = new Redis(env.REDIS_URL);
    await redis.flushdb();
    redis.disconnect();
    return;
  }
  const tables = await sql<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname = 'bullmq' and tablename <> 'migration'`;
  const truncate = () => sql.unsafe(`truncate ${tables.map(({ name }) => name).join(', ')}`);
  // workers take the same locks in another order: of two that wait for each other Postgres ends one
  await until(() => truncate(), { what: 'the queues to be emptied' });
}
