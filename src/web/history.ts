import type { Fleet } from '../fleet.ts';
import { TIME_LEFT_STEPS, unsentByTimeLeft } from '../temu/awb/index.ts';
import { ordersOverTime } from '../temu/overview.ts';

/** One chart of the overview: values over time (`x`), or over named steps (`labels`). */
export interface Chart {
  id: string;
  title: string;
  kind: 'lines' | 'bars';
  /** `share`: of 1. */
  unit: 'count' | 'share' | 'seconds' | 'minutes';
  /** Epoch seconds, the beginnings of steps of `step` seconds. */
  x?: number[];
  step?: number;
  labels?: string[];
  /** null: nothing is known of that time. */
  series: { label: string; values: (number | null)[] }[];
  /** Series that are left out: those with the lowest values. */
  more: number;
}

export interface History {
  /** When it was read. */
  at: Date;
  hours: number;
  charts: Chart[];
}

/** Hours that the page offers. */
export const WINDOWS = [1, 3, 24, 168] as const;
/** More lines in one chart than this nobody can tell apart. */
const MOST_SERIES = 6;
const MINUTE = 60;
const HOUR = 3600;

/** What the sampler writes once a minute (table `samples`), and which of a step's values is shown. */
const SAMPLED: (Pick<Chart, 'id' | 'title' | 'unit'> & { from: string; fold: 'max' | 'min' | 'avg' })[] = [
  {
    id: 'deadline',
    title: 'Time to the nearest deadline',
    unit: 'minutes',
    from: 'awb_minutes',
    fold: 'min',
  },
  { id: 'limits', title: 'Limit use', unit: 'share', from: 'quota_used', fold: 'max' },
  { id: 'waits', title: 'Told to wait', unit: 'seconds', from: 'waiting_seconds', fold: 'max' },
  { id: 'word', title: 'Age of the newest word', unit: 'seconds', from: 'heard_seconds', fold: 'max' },
  { id: 'age', title: 'Since last asked (median)', unit: 'seconds', from: 'staleness_seconds', fold: 'max' },
  { id: 'parcels', title: 'Parcels on their way', unit: 'count', from: 'parcels', fold: 'avg' },
  { id: 'backlog', title: 'Work waiting', unit: 'count', from: 'queue_depth', fold: 'max' },
];

/** Labels of the steps of unsentByTimeLeft. */
const TIME_LEFT_LABELS = ['late', ...TIME_LEFT_STEPS.slice(1).map((minutes) => `<${short(minutes)}`), '>1 d'];
function short(minutes: number): string {
  return minutes < 60 ? `${minutes} m` : minutes < 1440 ? `${minutes / 60} h` : `${minutes / 1440} d`;
}

/** Steps that give a chart some two hundred points, in seconds: samples, and orders, whose bars must be wider. */
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
export async function readHistory(
  { db, clock }: Pick<Fleet, 'db' | 'clock'>,
  hours: number,
): Promise<History> {
  const nowMs = clock();
  const now = Math.floor(nowMs / 1000);
  const steps = stepsOf(hours);
  const [timeLeft, orders, sampled] = await Promise.all([
    unsentByTimeLeft(db, nowMs),
    readOrders(db, now, hours, steps.orders),
    readSamples(db, now, hours, steps.samples),
  ]);
  const left: Chart = {
    ...{ id: 'left', title: 'Unsent orders by time left', kind: 'bars', unit: 'count', more: 0 },
    labels: TIME_LEFT_LABELS,
    series: [{ label: '', values: timeLeft }],
  };
  return { at: new Date(nowMs), hours, charts: [orders, left, ...sampled] };
}

/** The beginnings of all steps that touch the last hours. */
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

type Fold = { series: string; label: string; at: number; max: number; min: number; avg: number };

async function readSamples(db: Fleet['db'], now: number, hours: number, step: number): Promise<Chart[]> {
  const x = timeline(now, hours, step);
  const rows = await db.$client<Fold[]>`
    select series, label, (floor(extract(epoch from at) / ${step}::int) * ${step}::int)::float8 as at,
      max(value) as max, min(value) as min, avg(value) as avg
    from samples where series = any(${SAMPLED.map(({ from }) => from)}::text[])
      and at >= ${new Date((x[0] ?? now) * 1000)} group by 1, 2, 3`;
  const places = new Map(x.map((at, place) => [at, place]));
  return SAMPLED.map(({ from, fold, ...chart }) => {
    const lines = new Map<string, (number | null)[]>();
    for (const row of rows.filter(({ series }) => series === from)) {
      const line = lines.get(row.label) ?? x.map(() => null);
      lines.set(row.label, line);
      const place = places.get(row.at);
      if (place !== undefined) line[place] = Math.round(row[fold] * 1000) / 1000;
    }
    return { ...chart, kind: 'lines', x, step, ...highest(lines) };
  });
}

/** The highest lines, by name: so that a line keeps its colour while values change. */
function highest(lines: ReadonlyMap<string, (number | null)[]>): Pick<Chart, 'series' | 'more'> {
  const all = [...lines].map(([label, values]) => ({ label: label.replaceAll('_', ' '), values }));
  const peak = ({ values }: (typeof all)[number]) => Math.max(...values.map((value) => value ?? -Infinity));
  const kept = all.sort((a, b) => peak(b) - peak(a)).slice(0, MOST_SERIES);
  return {
    series: kept.sort((a, b) => a.label.localeCompare(b.label, 'en')),
    more: all.length - kept.length,
  };
}

/** How full each account is now: the last sample of the last minutes. */
export async function readLimitUse({
  db,
  clock,
}: Pick<Fleet, 'db' | 'clock'>): Promise<{ account: string; used: number }[]> {
  return await db.$client<{ account: string; used: number }[]>`
    select distinct on (label) label as account, value as used from samples
    where series = 'quota_used' and at > ${new Date(clock() - 5 * MINUTE * 1000)} order by label, at desc`;
}
