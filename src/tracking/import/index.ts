import type { Db } from '../../db/client.ts';
import type { Values } from './columns.ts';
import { type DateOrder, findOrder } from './dates.ts';
import { readLines } from './lines.ts';
import { type Row, type Rules, rowOf } from './row.ts';
import { type Written, writeRows } from './write.ts';

export { COLUMNS } from './columns.ts';
export { DATE_ORDERS, type DateOrder } from './dates.ts';

/** Rows of one transaction. */
const AT_ONCE = 1_000;
/** C4: couriers of India write local time without a zone. */
export const USUAL_ZONE = '+05:30';

export interface RefusedLine {
  line: number;
  reason: string;
  /** What could be read of it. */
  values: Values;
}

export interface Imported extends Omit<Written, 'refused'> {
  format: 'csv' | 'ndjson';
  /** Lines with anything in them, the header aside. */
  lines: number;
  refused: number;
  /** Columns that are not ours. */
  ignored: string[];
}

export interface ImportOptions {
  /** The file's name, which tells the format where its content does not. */
  name: string;
  /** The zone of times that name none, `+05:30`; default: India's. */
  zone?: string;
  /** The order of day, month and year; default: as the file's own lines tell, where it can be read `again`. */
  dates?: DateOrder | undefined;
  /** The same bytes from the beginning; undefined for what can be read once alone. */
  again?: (() => AsyncIterable<Buffer>) | undefined;
  onRefused(line: RefusedLine): void | Promise<void>;
  onProgress?(soFar: Imported): void;
}

/**
 * Brings parcels of another program in: CSV or NDJSON, a thousand lines at a time, in constant memory. A line that is
 * wrong is refused by itself (R3); the same file twice changes nothing.
 * Without `dates` the file is read twice, the first time for the order of its dates alone: so nothing is written of a file
 * whose dates cannot be told, and nothing of it has to be kept.
 * @throws UserError when the file is none of both, or its dates can be read in several ways
 */
export async function importParcels(
  { db, clock }: { db: Db; clock: () => number },
  bytes: AsyncIterable<Buffer>,
  { name, zone = USUAL_ZONE, dates, again, onRefused, onProgress }: ImportOptions,
): Promise<Imported> {
  const order = dates ?? (again && (await findOrder((await readLines(again(), name)).lines)));
  const rules: Rules = { zone, order, now: clock(), orderStatuses: await readOrderStatuses(db) };
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
  const rows = await db.$client<{ code: number; name: string }[]>`
    select code, name from order_statuses order by code`;
  return new Map(
    rows.flatMap(({ code, name }) => [[String(code), code] as const, [name.toLowerCase(), code] as const]),
  );
}
