import { minutes, type QueueDefinition, seconds } from '../queue/define.ts';

/** How often and for how long the delivery of a notice is tried before it is `failed`. */
export interface RetryPolicy {
  tries: number;
  backoff: QueueDefinition['backoff'];
}

/** 15 s, 30 s, … up to 15 minutes: 100 tries in a day. A channel's notices leave together, so a try is one call. */
export const MESSAGE_RETRIES: RetryPolicy = {
  tries: 100,
  backoff: { baseMs: seconds(15), maxMs: minutes(15) },
};

/** 15 s, 30 s, … up to an hour: 32 attempts in a day, six of them in the first ten minutes. */
export const WEBHOOK_RETRIES: RetryPolicy = {
  tries: 32,
  backoff: { baseMs: seconds(15), maxMs: minutes(60) },
};

/** Of a job that fails itself, by a fault of ours: deliveries that fail are retried by their rows. */
export const JOB_RETRIES: Pick<QueueDefinition, 'attempts' | 'backoff'> = {
  attempts: 5,
  backoff: { baseMs: seconds(2), maxMs: minutes(1) },
};
