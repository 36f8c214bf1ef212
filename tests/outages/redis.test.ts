import { describe } from 'vitest';
import { backends } from '../support/redis.ts';
import { outages, POSTGRES, REDIS } from './cases.ts';

// with the database away or refusing, which is another server than the queues' then, beside what their own store may do
describe.runIf(backends().includes('redis'))('queues on Redis', () =>
  outages('redis', [...REDIS, ...POSTGRES.filter(({ name }) => /read-only|silent/.test(name))]),
);
