import type { Db } from '../db/client.ts';
import type { Secrets } from '../db/secrets.ts';
import type { Log } from '../lib/log.ts';
import type { Queues } from '../queue/queues.ts';
import type { TemuClient } from './client.ts';

/** What producers in this module need: enough to find due rows and make jobs of them. */
export interface OrdersBase {
  db: Db;
  queues: Queues;
  /** Epoch milliseconds. */
  clock: () => number;
  log: Log;
  /** E9: why a number cannot be one of its carrier's, for people; undefined: it can. What couriers declare (tracking). */
  numberWarning(carrier: string, awbNumber: string): string | undefined;
}

/** What its handlers need in addition. */
export interface OrdersDeps extends OrdersBase {
  temu: TemuClient;
  secrets: Secrets;
}
