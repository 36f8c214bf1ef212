import { setTimeout as sleep } from 'node:timers/promises';
import { and, getTableColumns, getTableName, gte, lt, type SQL, sql } from 'drizzle-orm';
import type { Db, Tx } from '../../db/client.ts';
import { copyOut } from '../../db/copy.ts';
import { list, rows } from '../../db/query.ts';
import { shipmentEvents } from '../../db/schema/index.ts';
import { UserError } from '../../lib/errors.ts';
import type { Archive, ArchivedFile } from './files.ts';
import { monthAfter } from './months.ts';

/** Postgres looks for deadlocks after a second, and might end somebody else's transaction. */
const LOCK_MS = 500;
const PAUSE_MS = 2_000;
const TRIES = 150;

const TABLE = getTableName(shipmentEvents);
const COLUMNS = Object.values(getTableColumns(shipmentEvents));

interface Partition {
  oid: string;
  partition: string;
  /** false: an earlier run was cut off before it was dropped. */
  attached: boolean;
}

/** The partitions of history that end before a time. */
export const oldPartitions = (db: Db, before: Date): Promise<Partition[]> =>
  rows(
    db,
    {
      oid: sql<string>`c.oid::text`,
      partition: sql<string>`c.relname`,
      attached: sql<boolean>`inhrelid is not null`,
    },
    (fields) => sql`
      select ${fields} from pg_class parent join pg_class c on c.relnamespace = parent.relnamespace
        left join pg_inherits on inhrelid = c.oid and inhparent = parent.oid
      where parent.oid = ${TABLE}::regclass and c.relkind = 'r' and c.relname ~ ${`^${TABLE}_(first|\\d+_\\d\\d)$`}
        and (inhrelid is null or substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \\(''([^'']+)')::timestamptz
          <= ${before.toISOString()}::timestamptz)
      order by c.relname`,
  );

/** How many changes a partition has of each month. */
export const monthsOf = (db: Db | Tx, { partition }: Partition) =>
  rows(
    db,
    { month: sql<string>`to_char(month, 'YYYY-MM')`, rows: sql<number>`amount::float8` },
    (fields) => sql`
      select ${fields} from (
        select date_trunc('month', ${shipmentEvents.recordedAt} at time zone 'UTC') as month, count(*) as amount
        from ${aliased(partition)} group by 1) months order by month`,
  );

/** In place of the whole table. */
const aliased = (partition: string): SQL => sql`${sql.identifier(partition)} as ${shipmentEvents}`;

/**
 * Writes a partition into a file for each month and drops it. Whatever is recorded until it is detached is in them: what
 * came late makes them be written again. Cut off anywhere, the next call goes on.
 */
export async function archivePartition(
  db: Db,
  archive: Archive,
  partition: Partition,
): Promise<ArchivedFile[]> {
  await writePartition(db, archive, partition);
  if (partition.attached) await detach(db, partition);
  const files = await writePartition(db, archive, partition);
  await db.execute(sql`drop table ${sql.identifier(partition.partition)}`);
  return files;
}

async function writePartition(db: Db, archive: Archive, partition: Partition): Promise<ArchivedFile[]> {
  const source = `${TABLE} ${partition.oid}`;
  const files = archive.files().filter((file) => file.source === source);
  return await db.transaction(
    async (tx) => {
      const months = await monthsOf(tx, partition);
      const isSame = months.every(({ month, rows }) =>
        files.some((file) => file.month === month && file.rows === rows),
      );
      if (isSame && files.length === months.length && (await archive.areThere(files))) return files;
      await archive.unlist(files);
      const written: ArchivedFile[] = [];
      for (const { month, rows } of months) {
        const query = sql`select ${list(COLUMNS)} from ${aliased(partition.partition)} where ${within(month)}`;
        const file = await copyOut(tx, query, (csv) => archive.write({ table: TABLE, month, source }, csv));
        if (file?.rows !== rows)
          throw new Error(`${partition.partition}: ${file?.rows} of ${rows} rows of ${month} were written`);
        written.push(file);
      }
      await archive.add(written);
      return written;
    },
    { isolationLevel: 'repeatable read', accessMode: 'read only' },
  );
}

/** As a literal: COPY takes no parameters. */
function within(month: string): SQL | undefined {
  const start = new Date(`${month}-01T00:00:00Z`);
  const literal = (time: Date) => sql.raw(`'${time.toISOString()}'::timestamptz`);
  return and(
    gte(shipmentEvents.recordedAt, literal(start)),
    lt(shipmentEvents.recordedAt, literal(monthAfter(start))),
  );
}

/**
 * Not concurrently, which Postgres refuses where there is a default partition. Whoever reads all of history is waited
 * for, but not so long that those behind us notice.
 */
async function detach(db: Db, { partition }: Partition): Promise<void> {
  for (let left = TRIES; ; left--) {
    try {
      return await db.transaction(async (tx) => {
        await tx.execute(sql.raw(`set local lock_timeout = ${LOCK_MS}`));
        await tx.execute(sql`alter table ${shipmentEvents} detach partition ${sql.identifier(partition)}`);
      });
    } catch (error) {
      if (!isLocked(error)) throw error;
      if (left <= 0)
        throw new UserError(
          `${partition} could not be taken out of ${TABLE}: for minutes another session has been reading all of it. Its rows are in the archive; run the command again to go on.`,
        );
    }
    await sleep(PAUSE_MS);
  }
}

const LOCKED = '55P03';
const isLocked = (error: unknown): boolean =>
  error instanceof Error && ((error as { code?: unknown }).code === LOCKED || isLocked(error.cause));
