import { describe } from 'vitest';
import { backends } from '../support/redis.ts';
import { outages, REDIS_REFUSES } from './cases.ts';

describe.runIf(backends().includes('redis'))('queues on Redis, which refuses', () =>
  outages('redis', REDIS_REFUSES),
);
