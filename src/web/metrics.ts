import { Gauge, Registry } from 'prom-client';
import { messageOf } from '../errors.ts';
import { type Figures, QUANTILES, readFigures } from '../figures.ts';
import type { Fleet } from '../fleet.ts';
import { within } from '../within.ts';
import { queuesOf } from '../works.ts';

/** In milliseconds. */
const TIMES = {
  /** Several Prometheus servers, or a person who reloads, cost the database no more than one. */
  cached: 5_000,
  /** A scrape is answered within this time, well below Prometheus' own 10 s. */
  patience: 4_000,
  /** A reading that hangs for so long is given up; until then no other one begins. */
  givenUp: 30_000,
};

interface Reading {
  startedAt: number;
  /** undefined: it failed. */
  text: Promise<string | undefined>;
  ended: boolean;
}

/**
 * The page of /metrics in web (O4): this process' own counts, BullMQ's, and what the whole fleet is like. When that
 * cannot be read, orderfleet_scrape_ok is 0, the fleet-wide numbers are missing, and the rest is served all the same.
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
      within(times.patience, last.text).catch(() => undefined),
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
    readFigures(fleet),
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

function gauges(figures: Figures): Registry {
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
    'Jobs that wait for a worker',
    queue,
    perQueue((one) => one.depth),
  );
  add(
    'queue_oldest_seconds',
    'For how long the oldest work that nobody has taken has been due',
    queue,
    perQueue((one) => one.oldest),
  );
  add(
    'queue_workers',
    'Workers of all processes',
    queue,
    perQueue((one) => one.workers),
  );
  add(
    'quota_used_ratio',
    'Part of the account’s requests that was used in its last span',
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
    'What is left of the wait that the courier told us',
    tracker,
    perTracker((one) => one.wait),
  );
  add(
    'tracker_stopped',
    '1 while the courier refuses our credentials',
    tracker,
    perTracker((one) => Number(one.stopped)),
  );
  add(
    'tracking_parcels',
    'Parcels that are asked for',
    tracker,
    perTracker((one) => one.parcels),
  );
  add(
    'tracking_staleness_seconds',
    'Since a followed parcel was asked for',
    ['tracker', 'quantile'],
    trackers.flatMap(({ tracker, staleness }) =>
      staleness.map((seconds, nth): Values[number] => [[tracker, String(QUANTILES[nth])], seconds]),
    ),
  );
  add('unmapped_words', 'Words of couriers that have no meaning yet', [], [[[], figures.unmappedWords]]);

  if (awb.minutesToDeadline !== null)
    add(
      'awb_minutes_to_deadline',
      'To the ship-by date of the nearest order that Temu has no AWB for',
      [],
      [[[], awb.minutesToDeadline]],
    );
  add(
    'awb_at_risk',
    'Orders within two hours of their ship-by date that Temu has no AWB for',
    [],
    [[[], awb.atRisk]],
  );
  add('pushes', 'AWBs that are not on Temu, by the state of their push', ['state'], entries(figures.pushes));
  add(
    'pushes_unknown_seconds',
    'Since the oldest request left of which it is not known whether Temu took it',
    [],
    [[[], figures.untoldFor]],
  );

  const store = ['store'];
  add(
    'store_sync_age_seconds',
    'Since the end of the last window of which every order is stored',
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
  add('orders_waiting', 'Orders in the inbox that are not stored whole', ['state'], entries(figures.orders));
  add(
    'notices',
    'Notices that wait, and those that were given up within the last day',
    ['state'],
    entries(figures.notices),
  );
  add(
    'notices_undelivered_seconds',
    'Since the oldest notice was written that was tried and has not got through yet',
    [],
    [[[], figures.undeliveredFor]],
  );
  return registry;
}

/**
 * Several pages of Prometheus' text format as one, with the lines of each metric together and its HELP and TYPE once:
 * BullMQ writes a page for each queue, and Prometheus refuses a repeated TYPE.
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
