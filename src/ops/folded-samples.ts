import { and, avg, eq, gte, lt, max, min, or, type SQL, sql } from 'drizzle-orm';
import type { Db } from '../db/client.ts';
import { isAnyOf, json } from '../db/query.ts';
import { samples } from '../db/schema/index.ts';

/**
 * Samples of a minute are folded into longer steps once these have ended, so that the charts of a day and of a week read a
 * few thousand rows, not a million. All lengths and times here are in seconds.
 */
const MINUTE = 60;
const STEPS = [5 * MINUTE, 30 * MINUTE];

/** How often they are folded. */
export const FOLD_EVERY = 5 * MINUTE;
/** By then a step that has ended is folded. */
const FOLDED_AFTER = 2 * FOLD_EVERY;

const FOLDS = {
  max: { inDb: max, here: (values: number[]) => Math.max(...values) },
  min: { inDb: min, here: (values: number[]) => Math.min(...values) },
  avg: { inDb: avg, here: (values: number[]) => values.reduce((sum, one) => sum + one, 0) / values.length },
};
/** A series of samples, and what stands for those of a step. */
export interface Sampled {
  from: string;
  fold: keyof typeof FOLDS;
}
/** The series of its folded steps. */
const foldedName = ({ from }: Sampled, step: number) => `${from} ${step}`;

const startOf = (at: number, step: number) => Math.floor(at / step) * step;
const time = (at: number) => new Date(at * 1000);
/** The start of a sample's step; as text, since Postgres would not match parameters in `select` and `group by`. */
const begin = (step: number): SQL => sql.raw(`date_bin('${step} seconds', "at", 'epoch')`);

/**
 * @param since from when on
 * @returns how many steps were new, and from when on to fold the next time
 */
export async function foldSamples(db: Db, of: readonly Sampled[], now: number, since: number) {
  const until = now - MINUTE; // a sample may be written late
  let folded = 0;
  for (const step of STEPS)
    for (const one of of) {
      const { series, label, at, value } = samples;
      const itsSteps = db
        .select({
          series: sql<string>`${foldedName(one, step)}::text`.as('series'),
          label,
          at: sql<Date>`${begin(step)}`.as('at'),
          value: sql<number>`${FOLDS[one.fold].inDb(value)}`.as('value'),
        })
        .from(samples)
        .where(
          and(eq(series, one.from), gte(at, time(startOf(since, step))), lt(at, time(startOf(until, step)))),
        )
        .groupBy(label, begin(step));
      folded += (await db.insert(samples).select(itsSteps).onConflictDoNothing()).count;
    }
  return { folded, next: startOf(until, Math.max(...STEPS)) };
}

/** What was sampled of one series and label: values by the start of their step. */
interface Line {
  /** Of the samples of a minute. */
  series: string;
  label: string;
  steps: Map<number, number>;
}

/** Steps of these series since a time. Those that are not folded yet are folded here. */
export async function readSteps(
  db: Db,
  of: readonly Sampled[],
  { now, since, step }: { now: number; since: number; step: number },
): Promise<Line[]> {
  const { series, label, at, value } = samples;
  const minutesSince = STEPS.includes(step)
    ? Math.max(since, startOf(now - FOLDED_AFTER - step, step))
    : since;
  const named = (names: string[], from: number) => and(isAnyOf(series, names), gte(at, time(from)));
  const read = await db
    .select({
      series,
      label,
      // a list for each, since ten thousand rows take longer to decode than to read
      values: json<[at: number, value: number][]>(
        sql`json_agg(json_build_array(extract(epoch from ${at})::int, ${value}))`,
      ),
    })
    .from(samples)
    .where(
      or(
        named(
          of.map(({ from }) => from),
          minutesSince,
        ),
        named(
          of.map((one) => foldedName(one, step)),
          since,
        ),
      ),
    )
    .groupBy(series, label);
  return of.flatMap((one) => {
    const ofSeries = (name: string) => read.filter(({ series }) => series === name);
    const folded = new Map(
      ofSeries(foldedName(one, step)).map(({ label, values }) => [label, new Map(values)]),
    );
    const unfolded = new Map(
      ofSeries(one.from).map(({ label, values }) => [label, fold(values, step, one.fold)]),
    );
    return [...new Set([...folded.keys(), ...unfolded.keys()])].map((label) => ({
      ...{ series: one.from, label },
      // later ones count: those of whole steps
      steps: new Map([...(unfolded.get(label) ?? []), ...(folded.get(label) ?? [])]),
    }));
  });
}

function fold(
  values: readonly [at: number, value: number][],
  step: number,
  by: Sampled['fold'],
): Map<number, number> {
  const steps = new Map<number, number[]>();
  for (const [at, value] of values)
    steps.set(startOf(at, step), [...(steps.get(startOf(at, step)) ?? []), value]);
  return new Map([...steps].map(([at, its]) => [at, FOLDS[by].here(its)]));
}
