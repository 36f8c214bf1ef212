import type { Db } from '../db/client.ts';
import type { Secrets } from '../db/secrets.ts';
import type { Http } from '../lib/http.ts';
import type { Log } from '../lib/log.ts';
import type { Metrics } from '../lib/metrics.ts';
import type { Queues } from '../queue/queues.ts';
import type { Quota } from '../quota/index.ts';
import type { Tracker } from './registry.ts';

/** What producers need: enough to start runs and enqueue due batches. */
export interface TrackingBase {
  db: Db;
  queues: Queues;
  /** Epoch milliseconds. */
  clock: () => number;
  log: Log;
  trackers: readonly Tracker[];
  /** C2: parcels booked longer ago than so many days are no longer polled. */
  bufferDays: number;
}

/** What handlers need. */
export interface TrackingDeps extends TrackingBase {
  http: Http;
  metrics: Metrics;
  secrets: Secrets;
  /** The account of each limited tracker, by its name. */
  quotas: ReadonlyMap<string, Quota>;
}

/**
 * A batch's lease, renewed by a live worker: after a dead one's it is free within the two minutes of R1, also with the
 * sweep's 15 seconds.
 */
export const LEASE_MS = 60_000;
