import { getTableName, sql } from 'drizzle-orm';
import { closeDb, createDb, type Db } from '../../db/client.ts';
import { PATIENT } from '../../db/connections.ts';
import { holdLock } from '../../db/lock.ts';
import { rows } from '../../db/query.ts';
import { shipmentEvents } from '../../db/schema/index.ts';
import { UserError } from '../../lib/errors.ts';
import { type ArchivedFile, openArchive } from './files.ts';
import { archivePartition, monthsOf, oldPartitions } from './history.ts';
import { forgetNotices } from './notices.ts';
import { archiveOrders, countDone, monthsOfOrders, unlistUnfinished } from './orders.ts';

/** Orders count as ended after 90 days without a change, and their buyers may return a parcel until then. */
export const FEWEST_MONTHS = 4;

export interface Archived {
  files: ArchivedFile[];
  /** Partitions of history that were dropped. */
  partitions: string[];
  orders: number;
  /** About orders and parcels that are gone. */
  notices: number;
}

/**
 * P10: moves what is older than a month's beginning into a directory: history by partitions, then orders that are done with
 * all that belongs to them. Cut off anywhere it can be called again: nothing is lost, and nothing is in it twice.
 * @param onFile called for each file that is in the archive for good
 * @throws UserError
 */
export async function archive(
  databaseUrl: string,
  { before, to, onFile }: { before: Date; to: string; onFile(file: ArchivedFile): void },
): Promise<Archived> {
  return await alone(databaseUrl, async (db) => {
    const archive = await openArchive(to);
    await unlistUnfinished(db, archive);
    const archived: Archived = { files: [], partitions: [], orders: 0, notices: 0 };
    const add = (files: readonly ArchivedFile[]) => {
      archived.files.push(...files);
      for (const file of files) onFile(file);
    };
    for (const partition of await oldPartitions(db, before)) {
      add(await archivePartition(db, archive, partition));
      archived.partitions.push(partition.partition);
    }
    for (const month of await monthsOfOrders(db, before))
      for (;;) {
        const batch = await archiveOrders(db, archive, month, before);
        if (!batch) break;
        add(batch.files);
        archived.orders += batch.orders;
      }
    archived.notices = await forgetNotices(db, before);
    return archived;
  });
}

/** What would be moved: rows of history and orders, by month. */
export async function planArchive(
  databaseUrl: string,
  before: Date,
): Promise<{ table: string; month: string; rows: number }[]> {
  return await alone(databaseUrl, async (db) => {
    const plan: { table: string; month: string; rows: number }[] = [];
    for (const partition of await oldPartitions(db, before))
      for (const month of await monthsOf(db, partition))
        plan.push({ table: getTableName(shipmentEvents), ...month });
    for (const month of await monthsOfOrders(db, before)) {
      const done = await countDone(db, month, before);
      if (done > 0) plan.push({ table: 'orders', month: month.toISOString().slice(0, 7), rows: done });
    }
    return plan;
  });
}

/** One at a time, as the role that may drop tables. */
async function alone<T>(databaseUrl: string, work: (db: Db) => Promise<T>): Promise<T> {
  const release = await holdLock(databaseUrl, 'archive');
  if (!release) throw new UserError('Another archive command is running on this database.');
  const db = createDb(databaseUrl, { max: 1, name: 'archive', watch: PATIENT });
  try {
    const [role] = await rows(
      db,
      { owns: sql<boolean>`pg_has_role(relowner, 'usage')` },
      (list) => sql`select ${list} from pg_class where oid = ${getTableName(shipmentEvents)}::regclass`,
    );
    if (!role?.owns)
      throw new UserError(
        'archive drops tables: run it with the DATABASE_URL that migrate has (docs/deploy.md, Postgres).',
      );
    return await work(db);
  } finally {
    await closeDb(db);
    await release();
  }
}
