import { createRequire } from 'node:module';

/**
 * The driver of a store, resolved from BullMQ: producers have bullmq and the one driver that it needs for their
 * store, which this file may not be able to resolve. Loaded on demand, since they lack the other one.
 */
export function driver<T>(name: 'pg' | 'ioredis'): T {
  const bullmq = createRequire(import.meta.url).resolve('bullmq');
  return createRequire(bullmq)(name) as T;
}
