import type { Config } from '../config.ts';
import type { Db } from '../db/client.ts';
import type { Secrets } from '../db/secrets.ts';
import type { Http } from '../http.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { minutes, type QueueDefinition, seconds } from '../queue/define.ts';
import type { Queues } from '../queue/queues.ts';

/** What the sweep needs: enough to find due notices and make jobs of them. */
export interface AlertsBase {
  db: Db;
  queues: Queues;
  /** Epoch milliseconds. */
  clock: () => number;
  log: Log;
}

/** What the handlers need besides. */
export interface AlertsDeps extends AlertsBase {
  config: Config;
  secrets: Secrets;
  http: Http;
  metrics: Metrics;
}

export interface AlertTimings {
  /**
   * A claimed notice is due again after this long: a dead worker's are somebody else's then. Longer than all calls of
   * one claim and the wait for a Postgres that restarts.
   */
  leaseMs: number;
  /** One call to Slack, a webhook's receiver or a mail server. */
  callMs: number;
  /** A job takes no further notices after this long, so that no destination keeps a place for good. */
  budgetMs: number;
}

export const ALERT_TIMINGS: AlertTimings = {
  leaseMs: seconds(120),
  callMs: seconds(10),
  budgetMs: seconds(45),
};

/** C12: Slack and webhooks' receivers are left alone for so long at most, whatever they ask for. */
export const MOST_WAIT_MS = minutes(60);

/** How often and for how long the delivery of a notice is tried before it is `failed`. */
export interface RetryPolicy {
  tries: number;
  backoff: QueueDefinition['backoff'];
}

/** 15 s, 30 s, … up to 15 minutes: 100 tries in a day. A channel's notices leave together, so a try is one call. */
export const MESSAGE_RETRIES: RetryPolicy = {
  tries: 100,
  backoff: { baseMs: seconds(15), maxMs: minutes(15) },
};
