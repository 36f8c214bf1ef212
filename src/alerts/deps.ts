import type { Config } from '../config/index.ts';
import type { Db } from '../db/client.ts';
import type { Secrets } from '../db/secrets.ts';
import type { Http } from '../lib/http.ts';
import type { Log } from '../lib/log.ts';
import type { Metrics } from '../lib/metrics.ts';
import { minutes, seconds } from '../queue/define.ts';
import type { Queues } from '../queue/queues.ts';

/** What the sweep needs: enough to find due notices and make jobs of them. */
export interface AlertsBase {
  db: Db;
  queues: Queues;
  /** Epoch milliseconds. */
  clock: () => number;
  log: Log;
}

/** What the handlers need in addition. */
export interface AlertsDeps extends AlertsBase {
  config: Config;
  secrets: Secrets;
  http: Http;
  metrics: Metrics;
}

export interface AlertTimings {
  /**
   * A claimed notice is due again after this long, in case its worker died. Longer than all calls of one claim plus a
   * restart of Postgres.
   */
  leaseMs: number;
  /** One call to Slack, a webhook's receiver or a mail server. */
  callMs: number;
  /** A job takes no further notices after this long, so that no destination occupies a worker slot for good. */
  budgetMs: number;
}

export const ALERT_TIMINGS: AlertTimings = {
  leaseMs: seconds(120),
  callMs: seconds(10),
  budgetMs: seconds(45),
};

/** C12: the longest Retry-After that is honoured for Slack and webhook receivers. */
export const MOST_WAIT_MS = minutes(60);
