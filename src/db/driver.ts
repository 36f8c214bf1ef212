import { createRequire } from 'node:module';

/**
 * The driver of a store, as BullMQ finds it: producers have bullmq and the one driver that it needs for their store, which
 * need not lie where this file can see it. Loaded when it is needed, since they lack the other one.
 */
export function driver<T>(name: 'pg' | 'ioredis'): T {
  const bullmq = createRequire(import.meta.url).resolve('bullmq');
  return createRequire(bullmq)(name) as T;
}
