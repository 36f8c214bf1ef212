import type { KeepJobs } from 'bullmq';

const HOUR_S = 3600;

/**
 * Ended jobs are kept for reference: for an hour, failed ones for two weeks. In Redis, whose memory is bounded, there are a
 * thousand at most; in Postgres BullMQ would look through all that are kept with each job that ends, which takes longer
 * than the job (P6).
 */
export const keepEnded = (backend: 'redis' | 'postgres') => ({
  removeOnComplete: { age: HOUR_S, ...(backend === 'redis' ? { count: 1000 } : {}) } satisfies KeepJobs,
  removeOnFail: { age: 14 * 24 * HOUR_S, count: 2000 } satisfies KeepJobs,
});
