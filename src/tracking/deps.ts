import type { Db } from '../db/client.ts';
import type { Secrets } from '../db/secrets.ts';
import type { Http } from '../http.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Queues } from '../queue/queues.ts';
import type { Quota } from '../quota.ts';
import type { Tracker } from './catalogue.ts';

/** What the producers of this room need: enough to start runs and make jobs of due batches. */
export interface TrackingBase {
  db: Db;
  queues: Queues;
  /** Epoch milliseconds. */
  clock: () => number;
  log: Log;
  trackers: readonly Tracker[];
  /** C2: parcels booked longer ago than so many days are not asked for any more. */
  bufferDays: number;
}

/** What its handlers need besides. */
export interface TrackingDeps extends TrackingBase {
  http: Http;
  metrics: Metrics;
  secrets: Secrets;
  /** The account of each limited tracker, by its name. */
  quotas: ReadonlyMap<string, Quota>;
}

/**
 * How long a batch stays a dead worker's before another may take it: with the sweep's 15 seconds well within the two
 * minutes of R1. A worker that lives renews it.
 */
export const LEASE_MS = 60_000;
