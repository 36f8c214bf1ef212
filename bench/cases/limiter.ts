import { setTimeout as sleep } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import { createQuota } from '../../src/quota/index.ts';
import { openLedger } from '../../src/quota/ledger.ts';
import type { Case } from '../support/case.ts';

// docs/decisions/0044: a queue with BullMQ's limiter in front of the account, against the account alone. Each job is one
// request of an API that allows 7 in 3 s and answers after so long; 10 places.

const LIMIT = { max: 7, perMs: 3_000 };
const PLACES = 10;

export const limiter: Case = {
  name: 'limiter',
  says: 'BullMQ’s limiter in front of an account, beside the account alone (decision 0044)',
  onlyByName: true,
  backends: ['redis'],
  sizes: { jobs: { full: 140, quick: 21, says: 'jobs of each case' } },
  async run({ stage, ours, size }) {
    const DATABASE_URL = await stage.database('limiter');
    await ours.command({ DATABASE_URL, CREDENTIALS_KEY: Buffer.alloc(32).toString('base64') }, 'migrate');
    const url = new URL(stage.redis());
    const connection = { host: url.hostname, port: Number(url.port), db: Number(url.pathname.slice(1)) };
    const ledger = openLedger(DATABASE_URL);
    const quota = createQuota(ledger, { ...LIMIT, toleranceMs: 0, shares: [{ name: 'all', part: 1 }] });
    const jobs = size('jobs');
    const cases = [100, 1_000, 2_000, 4_000, 8_000].flatMap((answerMs) =>
      [undefined, LIMIT.max, LIMIT.max * 2].map((most) => ({ answerMs, most })),
    );
    const rows = await Promise.all(
      cases.map(async ({ answerMs, most }) => {
        const name = `bench-${answerMs}-${most ?? 'none'}`;
        const queue = new Queue(name, { connection });
        await queue.addBulk(Array.from({ length: jobs }, () => ({ name, data: {} })));
        let [done, waitedMs, lastSlot] = [0, 0, 0];
        const startedAt = performance.now();
        const worker = new Worker(
          name,
          async () => {
            const takenAt = performance.now();
            const slot = await quota.take(name, 'all');
            lastSlot = performance.now();
            waitedMs += lastSlot - takenAt;
            await sleep(answerMs);
            slot.answered();
            done++;
          },
          {
            connection,
            concurrency: PLACES,
            ...(most ? { limiter: { max: most, duration: LIMIT.perMs } } : {}),
          },
        );
        while (done < jobs) await sleep(20);
        await worker.close();
        await queue.close();
        const seconds = (lastSlot - startedAt) / 1000;
        const law = ((Math.ceil(jobs / LIMIT.max) - 1) * LIMIT.perMs) / 1000;
        const dictated = Math.max(law, (jobs - PLACES) / ((PLACES / answerMs) * 1000));
        return { answerMs, most, seconds, dictated, held: waitedMs / 1000 / seconds };
      }),
    );
    quota.close();
    await ledger.close();
    const one = (value: number) => ({ median: value, min: value, max: value });
    return [
      {
        what: 'A queue’s limiter in front of its account',
        size: `${jobs} requests, 7 in 3 s, 10 places, all cases at once`,
        rows: rows.map(({ answerMs, most, seconds, dictated, held }) => ({
          name: `answers after ${answerMs} ms, limiter ${most ? `${most} in 3 s` : 'none'}`,
          runs: 1,
          figures: {
            'taken ÷ dictated': one(Number((seconds / dictated).toFixed(3))),
            'jobs in work without a slot': one(Number(held.toFixed(1))),
          },
        })),
        ratios: [],
        discarded: [],
        checked: 'every job was done',
      },
    ];
  },
};
