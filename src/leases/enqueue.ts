import { eq, type SQL, sql } from 'drizzle-orm';
import type { Db } from '../db/client.ts';
import { type Fields, list, name, rows } from '../db/query.ts';
import type { NewJob } from '../queue/queues.ts';
import type { EnqueueDeps, EnqueuedRow, LeasedTable, Work } from './define.ts';
import { isOpen, sameRow } from './where.ts';

/** Which rows: by default all that are due. */
export interface Which {
  where?: SQL;
  /** Another time after which a job counts as lost. */
  againMs?: number;
  /** The jobs go ahead of all that wait already. */
  first?: boolean;
}

/**
 * Makes jobs of rows that are due and have none (R1). If the queue refuses them, the rows lose their mark, so that
 * the next sweep makes the jobs at once instead of when they count as lost.
 * @returns how many rows
 * @throws what the queue throws; the driver's error
 */
export async function enqueueDue<T extends LeasedTable>(
  { db, queues, clock }: EnqueueDeps,
  work: Work<T>,
  which: Which = {},
): Promise<number> {
  const { queue, chunk, most } = work.enqueue;
  const now = new Date(clock());
  const jobsOf = work.enqueue.jobs({ db, now });
  let enqueued = 0;
  let after: Cursor | undefined;
  for (;;) {
    const due = await mark(db, work, which, now, after);
    const jobs = await jobsOf(due);
    try {
      await queues.add(queue, which.first ? jobs.map((job) => ({ ...job, first: true })) : jobs);
    } catch (error) {
      // with Postgres away as well they count as lost after a while
      await unmark(db, work, eq(work.table.offeredAt, now)).catch(() => {});
      throw error;
    }
    enqueued += due.length;
    after = due.at(-1);
    if (!after || due.length < chunk || enqueued >= most) return enqueued;
  }
}

/** Position of a walk over due rows. The time is a text with all digits, which a Date cannot hold. */
type Cursor = { due: string } & Record<string, unknown>;
type Marked = EnqueuedRow<Fields> & Cursor;

async function mark<T extends LeasedTable>(
  db: Db,
  work: Work<T>,
  { where, againMs = work.enqueue.againMs }: Which,
  now: Date,
  after: Cursor | undefined,
): Promise<Marked[]> {
  const { table, key, ready, enqueue } = work;
  const lost = new Date(now.getTime() - againMs);
  const keys = Object.fromEntries(key.map((column, index) => [`key${index}`, column]));
  const fields = {
    ...enqueue.fields,
    dueMs: sql<string>`floor(extract(epoch from ${table.dueAt}) * 1000)::text`,
    due: sql<string>`${table.dueAt}::text`,
    dueAt: table.dueAt,
    ...keys,
  };
  const order = list([table.dueAt, ...key]);
  const further =
    after &&
    sql`${table.dueAt} >= ${after.due}::timestamptz and (${order}) > (${after.due}::timestamptz, ${list(
      key.map((column, index) => sql`${after[`key${index}`]}::${sql.raw(column.getSQLType())}`),
    )})`;
  const conditions = [
    isOpen(work),
    sql`${table.dueAt} <= ${now}`,
    sql`(${table.offeredAt} is null or ${table.offeredAt} < ${table.dueAt} or ${table.offeredAt} < ${lost})`,
    ...[ready?.(now), where, further].filter((condition) => condition !== undefined),
  ];
  const names = (all: object) => list(Object.keys(all).map((one) => sql`${sql.identifier(one)}`));
  return (await rows(
    db,
    fields,
    (returned) => sql`
      with due as (
        select ${list(key)} from ${table} where ${sql.join(conditions, sql` and `)}
        order by ${order} limit ${enqueue.chunk} for update of ${table} skip locked),
      marked as (
        update ${table} set ${name(table.offeredAt)} = ${now} from due where ${sameRow(work, 'due')} returning ${returned})
      select ${names(fields)} from marked order by ${names({ dueAt: 0, ...keys })}`,
  )) as Marked[];
}

const unmark = <T extends LeasedTable>(db: Db, work: Work<T>, which: SQL) =>
  db.execute(
    sql`update ${work.table} set ${name(work.table.offeredAt)} = null where ${isOpen(work)} and ${which}`,
  );

/**
 * Makes a job at once of rows that are due later and were released with that time as `offeredAt`: a short wait need
 * not wait for the sweep.
 * @throws what the queue throws; the rows are left to the sweep then
 */
export async function enqueueLater<T extends LeasedTable>(
  { db, queues }: EnqueueDeps,
  work: Work<T>,
  { where, dueAt, job }: { where: SQL; dueAt: Date; job: NewJob<unknown> },
): Promise<void> {
  try {
    await queues.add(work.enqueue.queue, [job]);
  } catch (error) {
    await unmark(db, work, sql`${where} and ${eq(work.table.offeredAt, dueAt)}`).catch(() => {});
    throw error;
  }
}
