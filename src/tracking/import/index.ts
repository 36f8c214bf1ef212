import type { Db } from '../../db/client.ts';
import { orderStatuses } from '../../db/schema/index.ts';
import { UserError } from '../../lib/errors.ts';
import type { Values } from './columns.ts';
import { type DateOrder, findOrder, timesOfZone } from './dates.ts';
import { readLines } from './lines.ts';
import { type Row, type Rules, rowOf } from './row.ts';
import { type Written, writeRows } from './write.ts';

export { COLUMNS } from './columns.ts';
export { DATE_ORDERS, type DateOrder, timesOfZone } from './dates.ts';

/** C4: Indian couriers send local time without a zone. */
const USUAL_ZONE = '+05:30';
/** Rows per transaction. */
const AT_ONCE = 1_000;
export interface RefusedLine {
  line: number;
  reason: string;
  /** Those that could be read. */
  values: Values;
}

export interface Imported extends Omit<Written, 'refused'> {
  format: 'csv' | 'ndjson';
  /** Lines that are not blank, without the header. */
  lines: number;
  refused: number;
  /** Unknown columns. */
  ignored: string[];
}

export interface ImportOptions {
  /** The file's name; decides the format where the content does not. */
  name: string;
  /** The zone of times without one, as `timesOfZone` knows it; default: India's. */
  zone?: string;
  /** The order of day, month and year; default: detected from the file's lines, if it can be read `again`. */
  dates?: DateOrder | undefined;
  /** The same bytes from the beginning; undefined if they can be read only once. */
  again?: (() => AsyncIterable<Buffer>) | undefined;
  onRefused(line: RefusedLine): void | Promise<void>;
  onProgress?(soFar: Imported): void;
}

/**
 * Imports parcels of another program: CSV or NDJSON, a thousand lines at a time, in constant memory. An invalid line is
 * refused alone (R3); importing a file again changes nothing.
 * Without `dates` the file is read twice, first to detect the order of its dates: nothing is written when they are
 * ambiguous, and nothing needs to be kept in memory.
 * @throws UserError when the file is neither format, its dates are ambiguous, or the zone is none
 */
export async function importParcels(
  { db, clock }: { db: Db; clock: () => number },
  bytes: AsyncIterable<Buffer>,
  { name, zone = USUAL_ZONE, dates, again, onRefused, onProgress }: ImportOptions,
): Promise<Imported> {
  const times = timesOfZone(zone);
  if (!times) throw new UserError(`"${zone}" is no time zone`);
  const order = dates ?? (again && (await findOrder((await readLines(again(), name)).lines)));
  const rules: Rules = { times, order, now: clock(), orderStatuses: await readOrderStatuses(db) };
  const { format, ignored, lines } = await readLines(bytes, name);
  const total: Imported = {
    ...{ format, lines: 0, imported: 0, known: 0, refused: 0, orders: 0, followed: {}, ignored: [] },
  };
  let rows: { row: Row; values: Values }[] = [];
  const refuse = async (line: RefusedLine) => {
    total.refused++;
    await onRefused(line);
  };
  const write = async () => {
    const written = await writeRows(
      db,
      rows.map(({ row }) => row),
    );
    add(total, written);
    for (const { line, reason } of written.refused)
      await refuse({ line, reason, values: rows.find(({ row }) => row.line === line)?.values ?? {} });
    rows = [];
    total.ignored = [...ignored];
    onProgress?.(total);
  };
  for await (const given of lines) {
    total.lines++;
    const row = 'refused' in given ? given.refused : rowOf(given.line, given.values, rules);
    if (typeof row === 'string') await refuse({ line: given.line, reason: row, values: given.values });
    else rows.push({ row, values: given.values });
    if (total.lines % AT_ONCE === 0) await write();
  }
  await write();
  return total;
}

function add(total: Imported, { imported, known, orders, followed }: Written): void {
  total.imported += imported;
  total.known += known;
  total.orders += orders;
  for (const [tracker, count] of Object.entries(followed))
    total.followed[tracker] = (total.followed[tracker] ?? 0) + count;
}

/** By code and by name. */
async function readOrderStatuses(db: Db): Promise<Map<string, number>> {
  const { code, name } = orderStatuses;
  const rows = await db.select({ code, name }).from(orderStatuses).orderBy(code);
  return new Map(
    rows.flatMap(({ code, name }) => [[String(code), code] as const, [name.toLowerCase(), code] as const]),
  );
}
