import { describe } from 'vitest';
import { backends } from '../support/redis.ts';
import { outages, POSTGRES_AWAY, POSTGRES_REFUSES, REDIS_AWAY } from './cases.ts';

const POSTGRES = [...POSTGRES_REFUSES, ...POSTGRES_AWAY].filter(({ name }) => /read-only|silent/.test(name));

// with the database away or refusing, which is another server than the queues' then, beside what their own store may do
describe.runIf(backends().includes('redis'))('queues on Redis, which is away, or the database is', () =>
  outages('redis', [...REDIS_AWAY, ...POSTGRES]),
);
