import { z } from 'zod';
import { createLog } from '../../src/lib/log.ts';
import { defineQueue } from '../../src/queue/define.ts';
import { handle, Wait } from '../../src/queue/handle.ts';
import { createQueues } from '../../src/queue/queues.ts';
import { runWorkers } from '../../src/queue/run.ts';

// A worker that hands each job back twice, to be taken again the next moment, and then completes it.
const { DATABASE_URL = '', REDIS_URL, QUEUE = '' } = process.env;
const log = createLog({ level: 'warn', name: 'handback' });
const queues = createQueues({ databaseUrl: DATABASE_URL, redisUrl: REDIS_URL, log });
const queue = defineQueue({
  worker: 'scheduler',
  name: QUEUE,
  payload: z.object({ v: z.literal(1), id: z.string() }),
  concurrency: 50,
  attempts: 1,
  backoff: { baseMs: 1, maxMs: 1 },
  timeoutMs: 60_000,
});
const taken = new Map<string, number>();
const handler = handle(queue, async ({ id }) => {
  const times = (taken.get(id) ?? 0) + 1;
  taken.set(id, times);
  if (times <= 2) throw new Wait(1, 'the next moment');
  return { outcome: 'done' };
});
const running = runWorkers([handler], { queues, log });
process.once('SIGTERM', async () => {
  await running.stop(5_000);
  await queues.close();
});
console.log('started');
