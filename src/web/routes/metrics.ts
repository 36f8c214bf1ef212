import { Gauge, Registry } from 'prom-client';
import type { Fleet } from '../../fleet/index.ts';
import { queuesOf } from '../../fleet/works.ts';
import { messageOf } from '../../lib/errors.ts';
import { withTimeout } from '../../lib/with-timeout.ts';
import { type FleetMetrics, readFleetMetrics } from '../../ops/fleet-metrics.ts';
import { QUANTILES } from '../../ops/tracker-metrics.ts';

/** In milliseconds. */
const TIMES = {
  /** Cached this long, so that several Prometheus servers cost the database no more than one. */
  cached: 5_000,
  /** A scrape gets its response within this time, well below Prometheus's own 10 s. */
  patience: 4_000,
  /** A reading is abandoned after this long; until then no other one starts. */
  givenUp: 30_000,
};

interface Reading {
  startedAt: number;
  /** undefined: it failed. */
  text: Promise<string | undefined>;
  ended: boolean;
}

/**
 * /metrics of the web process (O4): its own metrics, BullMQ's, and the fleet-wide ones. When the latter cannot be read,
 * they are missing, orderfleet_scrape_ok is 0, and the rest is served anyway.
 */
export function fleetMetrics(fleet: Fleet, times = TIMES): () => Promise<string> {
  let last: Reading | undefined;

  function read(): Reading {
    const reading: Reading = {
      startedAt: performance.now(),
      ended: false,
      text: fleetText(fleet)
        .catch((error) => {
          fleet.log.warn({ err: messageOf(error) }, 'metrics: the fleet’s numbers could not be read');
          return undefined;
        })
        .finally(() => {
          reading.ended = true;
        }),
    };
    return reading;
  }

  return async () => {
    const age = last ? performance.now() - last.startedAt : Number.POSITIVE_INFINITY;
    if (!last || age > (last.ended ? times.cached : times.givenUp)) last = read();
    const [own, ofFleet] = await Promise.all([
      fleet.metrics.text(),
      withTimeout(times.patience, last.text).catch(() => undefined),
    ]);
    return [own, await scrapeOk(ofFleet !== undefined), ofFleet].filter(Boolean).join('\n');
  };
}

function scrapeOk(ok: boolean): Promise<string> {
  const registry = new Registry();
  gauge(
    registry,
    'scrape_ok',
    '1, or 0 when the fleet-wide numbers could not be read',
    [],
    [[[], ok ? 1 : 0]],
  );
  return registry.metrics();
}

async function fleetText(fleet: Fleet): Promise<string> {
  const [figures, ...queues] = await Promise.all([
    readFleetMetrics(fleet),
    ...queuesOf(fleet).map(({ name }) => fleet.queues.raw(name).exportPrometheusMetrics()),
  ]);
  return `${await gauges(figures).metrics()}\n${mergeExpositions(queues)}`;
}

type Values = [labels: string[], value: number][];

function gauge(registers: Registry, name: string, help: string, labelNames: string[], values: Values): void {
  const one = new Gauge({ name: `orderfleet_${name}`, help, labelNames, registers: [registers] });
  for (const [labels, value] of values) one.labels(...labels).set(value);
}

const entries = (counts: Record<string, number>): Values =>
  Object.entries(counts).map(([state, count]) => [[state], count]);

function gauges(figures: FleetMetrics): Registry {
  const { queues, quotas, trackers, awb, stores } = figures;
  const registry = new Registry();
  const add = (name: string, help: string, labelNames: string[], values: Values) =>
    gauge(registry, name, help, labelNames, values);
  const each = <T>(list: readonly T[], label: (one: T) => string, value: (one: T) => number): Values =>
    list.map((one) => [[label(one)], value(one)]);
  const perQueue = (value: (one: (typeof queues)[number]) => number) =>
    each(queues, (one) => one.queue, value);
  const perTracker = (value: (one: (typeof trackers)[number]) => number) =>
    each(trackers, (one) => one.tracker, value);

  const queue = ['queue'];
  add(
    'queue_depth',
    'Jobs waiting for a worker',
    queue,
    perQueue((one) => one.depth),
  );
  add(
    'queue_oldest_seconds',
    'Time the oldest unclaimed work has been due',
    queue,
    perQueue((one) => one.oldest),
  );
  add(
    'queue_workers',
    'Workers in all processes',
    queue,
    perQueue((one) => one.workers),
  );
  add(
    'quota_used_ratio',
    'Share of the account’s rate limit used in its last window',
    ['account'],
    each(
      quotas,
      (one) => one.account,
      (one) => one.used,
    ),
  );

  const tracker = ['tracker'];
  add(
    'rate_limited_seconds',
    'Time left of the courier’s rate-limit cooldown',
    tracker,
    perTracker((one) => one.wait),
  );
  add(
    'tracker_stopped',
    '1 while the courier rejects our credentials',
    tracker,
    perTracker((one) => Number(one.stopped)),
  );
  add(
    'tracker_interval_seconds',
    'From the start of one run to the start of the next',
    tracker,
    trackers.flatMap((one): Values => (one.interval > 0 ? [[[one.tracker], one.interval]] : [])),
  );
  add(
    'tracking_parcels',
    'Parcels being tracked',
    tracker,
    perTracker((one) => one.parcels),
  );
  add(
    'tracking_staleness_seconds',
    'Time since a tracked parcel was last checked',
    ['tracker', 'quantile'],
    trackers.flatMap(({ tracker, staleness }) =>
      staleness.map((seconds, nth): Values[number] => [[tracker, String(QUANTILES[nth])], seconds]),
    ),
  );
  add(
    'feed_failing_seconds',
    'Time for which the courier’s list of changes could not be read; 0: it can, or there is none',
    tracker,
    perTracker((one) => one.feedFailing),
  );
  add('unmapped_words', 'Unmapped courier statuses', [], [[[], figures.unmappedWords]]);

  if (awb.minutesToDeadline !== null)
    add(
      'awb_minutes_to_deadline',
      'Time to the next ship-by date of an order without an AWB on Temu',
      [],
      [[[], awb.minutesToDeadline]],
    );
  add('awb_at_risk', 'Orders due to ship within two hours without an AWB on Temu', [], [[[], awb.atRisk]]);
  add('pushes', 'AWBs not on Temu, by state of their push', ['state'], entries(figures.pushes));
  add(
    'pushes_unknown_seconds',
    'Time since the oldest push with an unknown outcome was sent',
    [],
    [[[], figures.untoldFor]],
  );

  const store = ['store'];
  add(
    'store_sync_age_seconds',
    'Time since the end of the last fully stored sync window',
    store,
    each(
      stores,
      (one) => one.store,
      (one) => one.syncAge,
    ),
  );
  add(
    'store_paused',
    '1 while a store is paused',
    store,
    each(
      stores,
      (one) => one.store,
      (one) => Number(one.paused),
    ),
  );
  add('orders_waiting', 'Orders in the inbox that are not fully stored', ['state'], entries(figures.orders));
  add(
    'notices',
    'Notices waiting, and those that failed for good in the last day',
    ['state'],
    entries(figures.notices),
  );
  add(
    'notices_undelivered_seconds',
    'Time since the oldest undelivered notice that was tried was written',
    [],
    [[[], figures.undeliveredFor]],
  );
  return registry;
}

/**
 * Merges pages of Prometheus's text format, with the lines of each metric together and its HELP and TYPE once: BullMQ
 * writes a page per queue, and Prometheus rejects a repeated TYPE.
 */
export function mergeExpositions(pages: readonly string[]): string {
  const families = new Map<string, Set<string>>();
  for (const line of pages.join('\n').split('\n')) {
    const name = /^# (?:HELP|TYPE) (\S+)/.exec(line)?.[1] ?? /^[^{\s#]+/.exec(line)?.[0];
    if (name === undefined) continue;
    families.set(name, (families.get(name) ?? new Set()).add(line));
  }
  return `${[...families.values()].flatMap((lines) => [...lines]).join('\n')}\n`;
}
