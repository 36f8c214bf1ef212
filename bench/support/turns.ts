import type { Figure, Row } from '../../docs/performance.ts';
import type { Stage } from './stage.ts';

export type Figures = Record<string, number>;

/** One of those that do the same work in turns. */
export interface Contender {
  name: string;
  /** What is measured of one turn, part by part; throws unless everything was delivered exactly. */
  turn(measure: Measure): Promise<Record<string, Figures>>;
}

export type Measure = Stage['measure'];

export interface Turns {
  rows: Row[];
  /** Turns that do not count, with the reason. */
  discarded: string[];
}

/** Whoever else used the machine this much during a turn has disturbed it. */
const DISTURBED = 0.1;

/**
 * Lets the contenders work in turns, each beginning a round once. The first turn of each warms it up and does not count,
 * nor does one in which other programs used the machine: those are tried again, as often as there are runs.
 * @param quick all turns count, but for the first
 * @param warm each turn comes right after the same one uncounted: while the others have their turns, a process that always
 * works in reality forgets its compiled code
 */
export async function takeTurns(
  stage: Stage,
  contenders: readonly Contender[],
  { runs, quick, warm = false }: { runs: number; quick: boolean; warm?: boolean },
): Promise<Turns> {
  const kept = new Map(contenders.map(({ name }) => [name, [] as Record<string, Figures>[]]));
  const discarded = ['the first turn of each: it warms up'];
  for (let round = 0; round <= 2 * runs; round++) {
    const first = round % contenders.length;
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      const its = kept.get(contender.name) ?? [];
      if (its.length >= runs) continue;
      let others = 0;
      if (warm && round > 0) await contender.turn(stage.measure);
      const parts = await contender.turn(async (work) => {
        const measured = await stage.measure(work);
        others = Math.max(others, measured.others);
        return measured;
      });
      const percent = Math.round(others * 100);
      const shown = JSON.stringify(parts, (_, value) => (typeof value === 'number' ? rounded(value) : value));
      const why =
        round === 0
          ? 'it warms up'
          : others > DISTURBED && !quick
            ? `other programs used ${percent} % of the machine`
            : undefined;
      console.error(`  ${contender.name}, turn ${round}${why ? ` (discarded: ${why})` : ''}: ${shown}`);
      if (!why) its.push(parts);
      else if (round > 0) discarded.push(`${contender.name}, turn ${round}: ${why}`);
    }
  }
  for (const { name } of contenders)
    if (kept.get(name)?.length === 0)
      throw new Error(
        `${name} was never undisturbed: run the bench on a machine that has nothing else to do`,
      );
  return { rows: contenders.flatMap(({ name }) => rowsOf(name, kept.get(name) ?? [])), discarded };
}

const rowsOf = (contender: string, turns: readonly Record<string, Figures>[]): Row[] =>
  Object.keys(turns[0] ?? {}).map((part) => ({
    name: part === '' ? contender : `${contender}, ${part}`,
    runs: turns.length,
    figures: summary(turns.map((turn) => turn[part] ?? {})),
  }));

const summary = (all: readonly Figures[]): Record<string, Figure> =>
  Object.fromEntries(
    Object.keys(all[0] ?? {}).map((name) => {
      const values = all.map((figures) => figures[name] ?? Number.NaN).sort((a, b) => a - b);
      return [
        name,
        {
          median: rounded(percentile(values, 0.5)),
          min: rounded(values[0] ?? Number.NaN),
          max: rounded(values.at(-1) ?? Number.NaN),
        },
      ];
    }),
  );

/** Of sorted values; the middle of two for the median. */
export function percentile(sorted: readonly number[], part: number): number {
  const at = (sorted.length - 1) * part;
  const [low, high] = [sorted[Math.floor(at)] ?? Number.NaN, sorted[Math.ceil(at)] ?? Number.NaN];
  return low + (high - low) * (at - Math.floor(at));
}

/** Three digits that count. */
export const rounded = (value: number): number =>
  Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));

/** The median of a figure. */
export function medianOf(rows: readonly Row[], name: string, figure: string): number {
  const found = rows.find((row) => row.name === name)?.figures[figure]?.median;
  if (found === undefined) throw new Error(`nothing measured ${figure} of ${name}`);
  return found;
}
