import type { Db } from '../../db/client.ts';
import type { Secrets } from '../../db/secrets.ts';
import type { Log } from '../../log.ts';
import type { Queues } from '../../queue/queues.ts';
import type { TemuClient } from '../client.ts';

/** What the producers of this room need: enough to find due rows and make jobs of them. */
export interface OrdersBase {
  db: Db;
  queues: Queues;
  /** Epoch milliseconds. */
  clock: () => number;
  log: Log;
}

/** What its handlers need besides. */
export interface OrdersDeps extends OrdersBase {
  temu: TemuClient;
  secrets: Secrets;
}
