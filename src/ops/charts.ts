import { and, desc, eq, gt } from 'drizzle-orm';
import { samples } from '../db/schema/index.ts';
import type { Fleet } from '../fleet/index.ts';
import { TIME_LEFT_STEPS, unsentByTimeLeft } from '../orders/at-risk.ts';
import { ordersOverTime } from '../temu/overview.ts';
import { readSteps, type Sampled } from './folded-samples.ts';

/** One chart of the overview: values over time (`x`), or per category (`labels`). */
export interface Chart {
  id: string;
  title: string;
  kind: 'lines' | 'bars';
  /** `share`: 0 to 1. */
  unit: 'count' | 'share' | 'seconds' | 'minutes';
  /** Epoch seconds: the starts of steps of `step` seconds. */
  x?: number[];
  step?: number;
  labels?: string[];
  /** null: no data. */
  series: { label: string; values: (number | null)[] }[];
  /** Number of series left out, those with the lowest values. */
  more: number;
}

export interface ChartHistory {
  /** When it was read. */
  at: Date;
  hours: number;
  charts: Chart[];
}

/** Windows to choose from, in hours. */
export const WINDOWS = [1, 3, 24, 168] as const;
/** More lines in one chart are not distinguishable. */
const MOST_SERIES = 6;
const MINUTE = 60;
const HOUR = 3600;

/** What the sampler writes once a minute (table `samples`), and how a step's values are aggregated. */
export const SAMPLED: (Pick<Chart, 'id' | 'title' | 'unit'> & Sampled)[] = [
  {
    id: 'deadline',
    title: 'Next ship-by deadline',
    unit: 'minutes',
    from: 'awb_minutes',
    fold: 'min',
  },
  { id: 'limits', title: 'Rate-limit use', unit: 'share', from: 'quota_used', fold: 'max' },
  { id: 'waits', title: 'Rate-limit pauses', unit: 'seconds', from: 'waiting_seconds', fold: 'max' },
  { id: 'word', title: 'Latest courier update', unit: 'seconds', from: 'heard_seconds', fold: 'max' },
  {
    id: 'age',
    title: 'Median time since last check',
    unit: 'seconds',
    from: 'staleness_seconds',
    fold: 'max',
  },
  { id: 'parcels', title: 'Parcels in transit', unit: 'count', from: 'parcels', fold: 'avg' },
  { id: 'backlog', title: 'Queue backlog', unit: 'count', from: 'queue_depth', fold: 'max' },
];

/** Labels of the steps of unsentByTimeLeft. */
const TIME_LEFT_LABELS = ['late', ...TIME_LEFT_STEPS.slice(1).map((minutes) => `<${short(minutes)}`), '>1 d'];
function short(minutes: number): string {
  return minutes < 60 ? `${minutes} m` : minutes < 1440 ? `${minutes / 60} h` : `${minutes / 1440} d`;
}

/** Step in seconds, for about 200 points a chart: of samples, and of orders, whose bars must be wider. */
const stepsOf = (hours: number) =>
  hours <= 3
    ? { samples: MINUTE, orders: hours === 1 ? 5 * MINUTE : 10 * MINUTE }
    : hours <= 24
      ? { samples: 5 * MINUTE, orders: HOUR }
      : { samples: 30 * MINUTE, orders: 6 * HOUR };

/**
 * What the charts draw (O3).
 * @param hours how far back from now
 */
export async function readCharts(
  { db, clock }: Pick<Fleet, 'db' | 'clock'>,
  hours: number,
): Promise<ChartHistory> {
  const nowMs = clock();
  const now = Math.floor(nowMs / 1000);
  const steps = stepsOf(hours);
  const [timeLeft, orders, sampled] = await Promise.all([
    unsentByTimeLeft(db, nowMs),
    readOrders(db, now, hours, steps.orders),
    readSamples(db, now, hours, steps.samples),
  ]);
  const left: Chart = {
    ...{ id: 'left', title: 'Unshipped orders by time left', kind: 'bars', unit: 'count', more: 0 },
    labels: TIME_LEFT_LABELS,
    series: [{ label: '', values: timeLeft }],
  };
  return { at: new Date(nowMs), hours, charts: [orders, left, ...sampled] };
}

/** The starts of all steps that overlap the last hours. */
function timeline(now: number, hours: number, step: number): number[] {
  const first = Math.floor((now - hours * HOUR) / step) * step;
  return Array.from({ length: Math.floor((now - first) / step) + 1 }, (_, nth) => first + nth * step);
}

async function readOrders(db: Fleet['db'], now: number, hours: number, step: number): Promise<Chart> {
  const x = timeline(now, hours, step);
  const counts = await ordersOverTime(db, new Date((x[0] ?? now) * 1000), step);
  const any = counts.size > 0;
  return {
    ...{ id: 'orders', kind: 'bars', unit: 'count', x, step, more: 0 },
    title: `New orders per ${step === HOUR ? 'hour' : step < HOUR ? `${step / MINUTE} minutes` : `${step / HOUR} hours`}`,
    series: [{ label: '', values: x.map((at) => (any ? (counts.get(at) ?? 0) : null)) }],
  };
}

async function readSamples(db: Fleet['db'], now: number, hours: number, step: number): Promise<Chart[]> {
  const x = timeline(now, hours, step);
  const read = await readSteps(db, SAMPLED, { now, since: x[0] ?? now, step });
  return SAMPLED.map(({ from, fold: _, ...chart }) => {
    const lines = read.filter(({ series }) => series === from);
    const drawn = lines.map(({ label, steps }) => ({ label, values: x.map((at) => rounded(steps.get(at))) }));
    return { ...chart, kind: 'lines', x, step, ...highest(drawn) };
  });
}

const rounded = (value: number | undefined): number | null =>
  value === undefined ? null : Math.round(value * 1000) / 1000;

/** The highest series, sorted by name, so that a line keeps its colour while values change. */
function highest(lines: Chart['series']): Pick<Chart, 'series' | 'more'> {
  const all = lines.map(({ label, values }) => ({ label: label.replaceAll('_', ' '), values }));
  const peak = ({ values }: (typeof all)[number]) => Math.max(...values.map((value) => value ?? -Infinity));
  const kept = all.sort((a, b) => peak(b) - peak(a)).slice(0, MOST_SERIES);
  return {
    series: kept.sort((a, b) => a.label.localeCompare(b.label, 'en')),
    more: all.length - kept.length,
  };
}

/** Current use of each account: its latest sample of the last minutes. */
export async function readLimitUse({
  db,
  clock,
}: Pick<Fleet, 'db' | 'clock'>): Promise<{ account: string; used: number }[]> {
  const { series, label, at, value } = samples;
  return await db
    .selectDistinctOn([label], { account: label, used: value })
    .from(samples)
    .where(and(eq(series, 'quota_used'), gt(at, new Date(clock() - 5 * MINUTE * 1000))))
    .orderBy(label, desc(at));
}
