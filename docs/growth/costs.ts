import { isGrowth, type Result } from '../performance.ts';
import { type Cost, type Costs, TABLES, type Table } from './simulation.ts';

/** What `npm run bench -- growth` has measured, as the simulation takes it. */

const WORKERS = 'written by our workers';

/** How busy other programs kept the machine, beside each result. */
export const OTHERS = 'the largest part of the machine that other programs used meanwhile';
const DISTURBED = 0.1;

/** The largest part of the machine that other programs used, where it is enough to falsify times; else undefined. */
export function disturbance(results: readonly Result[]): number | undefined {
  const parts = results
    .filter(isGrowth)
    .flatMap(({ ratios }) => ratios.filter(({ says }) => says === OTHERS));
  const most = Math.max(0, ...parts.map(({ value }) => value));
  return most > DISTURBED ? most : undefined;
}

/** The result whose title begins so. @throws Error when it was not measured */
export function part(results: readonly Result[], what: string): Result {
  const found = results.find((result) => isGrowth(result) && result.what.startsWith(`P10: ${what}`));
  if (!found) throw new Error(`not measured: ${what}. npm run bench -- growth`);
  return found;
}

/** @throws Error when the row has no such figure */
export function figure(result: Result, row: string, name: string): number {
  const found = result.rows.find((one) => one.name === row)?.figures[name]?.median;
  if (found === undefined) throw new Error(`${result.what} has no "${name}" of "${row}"`);
  return found;
}

/** @throws Error when a part was not measured */
export function costsOf(results: readonly Result[]): Costs {
  const flows = part(results, 'what a unit of work costs');
  const cost = (row: string): Cost => {
    const of = (name: string) => figure(flows, row, name);
    return {
      worker: of('worker’s CPU, µs') / 1e6,
      postgres: of('Postgres’ CPU, µs') / 1e6,
      redis: of('Redis’ CPU, µs') / 1e6,
      wal: of('WAL, bytes'),
      commits: of('commits'),
    };
  };
  const memory = flows.rows.map((row) => figure(flows, row.name, 'worker’s memory, MB'));
  const jobs = part(results, 'bytes of a job');
  const sizes = jobs.rows.filter(({ name }) => name.endsWith('Redis'));
  return {
    bytesARow: Object.fromEntries(TABLES.map((table) => [table, bytesOf(results, table).bytes])) as Record<
      Table,
      number
    >,
    order: { ...cost('an order, read and written'), ...cpuOf(results, 'orders', 'fleet') },
    awb: cost('an AWB number, sent to Temu'),
    pollChanged: { ...cost('a parcel, polled, changed'), ...cpuOf(results, 'tracking', 'fleet, changed') },
    pollUnchanged: {
      ...cost('a parcel, polled, unchanged'),
      ...cpuOf(results, 'tracking', 'fleet, unchanged'),
    },
    ...schedulerCosts(part(results, 'the scheduler by stores')),
    redisBytesAJob: Math.max(...sizes.map(({ name }) => figure(jobs, name, 'bytes a job'))),
    workerBytes: Math.max(...memory) * 1e6,
    archiveRows: figure(part(results, 'orderfleet archive'), 'archive', 'rows a second'),
  };
}

/** CPU of a unit as docs/performance.md has it, of several turns; nothing where that case was not measured. */
function cpuOf(results: readonly Result[], name: string, row: string): Partial<Cost> {
  const result = results.find((one) => one.case === name && one.backend === 'redis');
  if (!result) return {};
  const units = Number(/^[\d,]+/.exec(result.size)?.[0].replaceAll(',', ''));
  return {
    worker: figure(result, row, 'own CPU, s') / units,
    postgres: figure(result, row, 'Postgres’ CPU, s') / units,
  };
}

/** Bytes of a row, and where they were measured: the largest of what our workers wrote and of what was filled in. */
export function bytesOf(
  results: readonly Result[],
  table: Table,
): { bytes: number; rows: number; by: string } {
  const found = ['bytes on disk a row, as our workers', 'bytes on disk a row, filled']
    .flatMap((what) => part(results, what).rows)
    .filter(({ name }) => name.startsWith(`${table}, `))
    .map(({ name, figures }) => ({
      bytes: figures['bytes a row']?.median ?? 0,
      rows: figures.rows?.median ?? 0,
      by: name.includes(WORKERS) ? 'our workers' : 'filled',
    }));
  const most = found.sort((a, b) => b.bytes - a.bytes)[0];
  if (!most) throw new Error(`not measured: bytes of a row of ${table}`);
  return most;
}

/** A line through the smallest and the largest fleet. */
function schedulerCosts(result: Result): Pick<Costs, 'schedulerAStore' | 'schedulerAlone'> {
  const names = { worker: 'scheduler’s', postgres: 'Postgres’', redis: 'Redis’' };
  const [first, last] = [result.rows[0], result.rows.at(-1)].map((row) => row?.name ?? '') as [
    string,
    string,
  ];
  const [few, many] = [figure(result, first, 'stores'), figure(result, last, 'stores')];
  const at = (row: string, whose: string) => figure(result, row, `${whose} CPU, ms a second`) / 1_000;
  const slope = (whose: string) => Math.max(0, (at(last, whose) - at(first, whose)) / (many - few));
  const each = (of: (whose: string) => number) => ({
    worker: of(names.worker),
    postgres: of(names.postgres),
    redis: of(names.redis),
  });
  return { schedulerAStore: each(slope), schedulerAlone: each((whose) => at(first, whose)) };
}
