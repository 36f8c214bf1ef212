import type { trackingRuns } from '../../db/schema/index.ts';
import { plural } from '../../lib/plural.ts';
import { cut } from '../../lib/storable.ts';
import { shortTime, trackerTitle } from '../message.ts';

/** One that has ended. */
export type Run = Omit<typeof trackingRuns.$inferSelect, 'state'> & {
  finishedAt: Date;
  /** The courier's display name. */
  title?: string | null;
};

const titleOf = ({ tracker, title }: Run) => title ?? trackerTitle(tracker);

/** Outcomes of parcels, in display order. */
export const OUTCOMES = ['updated', 'unchanged', 'notFound', 'mismatched', 'unmapped', 'failed'] as const;
export type OutcomeName = (typeof OUTCOMES)[number];

export const LABELS: Record<OutcomeName, string> = {
  updated: 'Updated',
  unchanged: 'Unchanged',
  notFound: 'Not found',
  mismatched: 'Mismatched',
  unmapped: 'Unmapped',
  failed: 'Failed',
};

/** One row: a run, or all runs of a tracker. */
export interface Row extends Record<OutcomeName, number> {
  title: string;
  runs: number;
  planned: number;
  requests: number;
  /** Requests that the limit would have allowed, without the time in cooldown; null: no limit. */
  allowed: number | null;
  /** "7 per 3 s"; null: none, or several. */
  limit: string | null;
  /** False where no limit was set at all. */
  limited: boolean;
  waits: number;
  waitedMs: number;
  durationMs: number;
  startedAt: Date;
}

/** A raw status or a reason, with its count. */
export interface Counted {
  tracker: string;
  text: string;
  count: number;
}

/** C13: the content of one mail, about one run or several. */
export interface Report {
  subject: string;
  title: string;
  /** "22 Nov 14:00 – 14:09 UTC". */
  period: string;
  rows: Row[];
  total: Row;
  words: Counted[];
  wordsMore: number;
  errors: Counted[];
  errorsMore: number;
}

/** With more rows than this, a mail has one row per tracker. */
const MOST_ROWS = 12;
const MOST_COUNTED = 20;
const LONGEST_TEXT = 160;

/** @param runs one: the report of a run; several: a digest */
export function reportOf(runs: readonly Run[]): Report {
  const ordered = [...runs].sort(
    (a, b) => a.tracker.localeCompare(b.tracker) || a.startedAt.getTime() - b.startedAt.getTime(),
  );
  const perRun = ordered.map((run) => rowOf(titleOf(run), [run]));
  const rows = ordered.length <= MOST_ROWS ? perRun : perTracker(ordered);
  const total = rowOf('All', ordered);
  const period = periodOf(ordered);
  const title = ordered.length === 1 ? (perRun[0]?.title ?? '') : 'Tracking';
  const [words, wordsMore] = counted(ordered, (run) => run.words);
  const [errors, errorsMore] = counted(ordered, (run) => run.errors);
  const subject =
    ordered.length === 1
      ? `${title}: ${summary(total)}`
      : `Tracking, ${period}: ${number(ordered.length)} runs, ${summary(total)}`;
  return { subject, title, period, rows, total, words, wordsMore, errors, errorsMore };
}

function perTracker(runs: readonly Run[]): Row[] {
  const groups = new Map<string, Run[]>();
  for (const run of runs) groups.set(run.tracker, [...(groups.get(run.tracker) ?? []), run]);
  return [...groups.values()].map((its) => rowOf(titleOf(its[0] as Run), its));
}

function rowOf(title: string, runs: readonly Run[]): Row {
  const sum = (of: (run: Run) => number) => runs.reduce((total, run) => total + of(run), 0);
  const limits = new Set(runs.map(({ requestLimit }) => requestLimit));
  const [limit] = limits.size === 1 ? limits : [];
  const allowed = runs.map(allowedOf);
  return {
    title,
    runs: runs.length,
    planned: sum((run) => run.planned),
    updated: sum((run) => run.updated),
    unchanged: sum((run) => run.unchanged),
    notFound: sum((run) => run.notFound),
    mismatched: sum((run) => run.mismatched),
    unmapped: sum((run) => run.unmapped),
    failed: sum((run) => run.failed),
    requests: sum((run) => run.requests),
    allowed: allowed.some((one) => one === null) ? null : sum((run) => allowedOf(run) ?? 0),
    limit: limit ? limit.replace(/^(\d+)\/(\d+)$/, '$1 per $2 s') : null,
    limited: runs.some(({ requestLimit }) => requestLimit !== null),
    waits: sum((run) => run.waits),
    waitedMs: sum((run) => run.waitedMs),
    durationMs: sum(durationOf),
    startedAt: new Date(Math.min(...runs.map(({ startedAt }) => startedAt.getTime()))),
  };
}

const durationOf = ({ startedAt, finishedAt }: Run) =>
  Math.max(0, finishedAt.getTime() - startedAt.getTime());

function allowedOf(run: Run): number | null {
  const [, max, seconds] = /^(\d+)\/(\d+)$/.exec(run.requestLimit ?? '') ?? [];
  if (!max || !seconds || seconds === '0') return null;
  const asking = Math.max(0, durationOf(run) - run.waitedMs) / 1000;
  return Math.floor(asking / Number(seconds)) * Number(max) + Number(max); // a started span counts in full
}

function counted(runs: readonly Run[], of: (run: Run) => Record<string, number>): [Counted[], number] {
  const all = new Map<string, Counted>();
  for (const run of runs)
    for (const [key, count] of Object.entries(of(run))) {
      const flat = key.replace(/\s+/g, ' ').trim();
      const text = flat.length > LONGEST_TEXT ? `${cut(flat, LONGEST_TEXT - 1)}…` : flat;
      const known = all.get(`${run.tracker} ${key}`);
      if (known) known.count += Number(count);
      else all.set(`${run.tracker} ${key}`, { tracker: titleOf(run), text, count: Number(count) });
    }
  const sorted = [...all.values()].sort((a, b) => b.count - a.count || a.text.localeCompare(b.text));
  return [sorted.slice(0, MOST_COUNTED), Math.max(0, sorted.length - MOST_COUNTED)];
}

/** "312 of 36,000 parcels updated, 3 unmapped, 12 failed, 2 waits". */
function summary(row: Row): string {
  if (row.planned === 0) return 'no parcels were due';
  const troubles = (['mismatched', 'unmapped', 'failed'] as const)
    .filter((name) => row[name] > 0)
    .map((name) => `${number(row[name])} ${LABELS[name].toLowerCase()}`);
  return [
    `${number(row.updated)} of ${plural(row.planned, 'parcel')} updated`,
    ...troubles,
    ...(row.waits > 0 ? [`rate-limited ${times(row.waits)}`] : []),
  ].join(', ');
}

export const times = (count: number) =>
  count === 1 ? 'once' : count === 2 ? 'twice' : `${number(count)} times`;

function periodOf(runs: readonly Run[]): string {
  const start = new Date(Math.min(...runs.map(({ startedAt }) => startedAt.getTime())));
  const end = new Date(Math.max(...runs.map(({ finishedAt }) => finishedAt.getTime())));
  const sameDay = start.toISOString().slice(0, 10) === end.toISOString().slice(0, 10);
  const to = sameDay ? `${end.toISOString().slice(11, 16)} UTC` : shortTime(end);
  return shortTime(start) === shortTime(end)
    ? shortTime(end)
    : `${shortTime(start).replace(' UTC', '')} – ${to}`;
}

/** 36000 → "36,000". */
export const number = (value: number): string => value.toLocaleString('en-US');

/** "9 min 12 s", "1 h 5 min". */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const [h, min, s] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60];
  if (h === 0) return s === 0 ? `${min} min` : `${min} min ${s} s`;
  return min === 0 ? `${h} h` : `${h} h ${min} min`;
}

/** "34 %", "0.4 %"; empty when the whole is 0. */
export function share(part: number, whole: number): string {
  if (whole === 0 || part === 0) return '';
  const percent = (part / whole) * 100;
  if (percent >= 99.95 && part < whole) return '99.9 %';
  return `${percent < 0.1 ? '< 0.1' : percent < 10 ? Number(percent.toFixed(1)) : Math.round(percent)} %`;
}

/** "721 of 756 allowed by 7 per 3 s (95 %)". */
export function requestsLine(row: Row): string {
  if (row.allowed === null) return `${number(row.requests)}${row.limited ? '' : ' (no limit)'}`;
  const by = row.limit ? `allowed by ${row.limit}` : 'allowed by the limits';
  return `${number(row.requests)} of ${number(row.allowed)} ${by}${row.requests ? ` (${share(row.requests, row.allowed)})` : ''}`;
}

export const waitsLine = (row: Row): string =>
  row.waits === 0 ? 'none' : `${times(row.waits)}, ${duration(row.waitedMs)} in total`;
