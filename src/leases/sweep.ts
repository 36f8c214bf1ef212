import { type SQL, sql } from 'drizzle-orm';
import type { Db, Tx } from '../db/client.ts';
import { rows } from '../db/query.ts';
import type { Task } from '../queue/maintenance.ts';
import type { EnqueueDeps, Work } from './define.ts';
import { enqueueDue } from './enqueue.ts';
import { isOpen } from './where.ts';

/** The tasks that make jobs of due rows without one (R1), one for each process that works on them. */
export function sweepTasks(deps: EnqueueDeps, works: readonly Work[]): Task[] {
  const workers = [...new Set(works.map(({ enqueue }) => enqueue.queue.worker))];
  return workers.map((worker) => {
    const its = works.filter(({ enqueue }) => enqueue.queue.worker === worker);
    return {
      id: `${worker}-sweep`,
      everyMs: Math.min(...its.map(({ enqueue }) => enqueue.sweepMs)),
      async run() {
        let offered = 0;
        for (const work of its) offered += await enqueueDue(deps, work);
        return { offered };
      },
    };
  });
}

/**
 * Since when the oldest unclaimed row of each queue could have been worked on: a claim moves the due time.
 * @returns epoch milliseconds by the queue's name; none where nothing is due
 */
export async function dueSince(db: Db | Tx, works: readonly Work[], now: Date): Promise<Map<string, number>> {
  const [first, ...rest] = works.map((work) => oldest(work, now));
  if (!first) return new Map();
  const found = await rows(
    db,
    { queue: sql<string>`queue`, since: sql<string>`since` },
    (read) =>
      sql`select ${read} from (${rest.reduce((all, one) => sql`${all} union all ${one}`, first)}) oldest`,
  );
  return new Map(found.map(({ queue, since }) => [queue, Number(since)]));
}

function oldest({ enqueue, since, ...work }: Work, now: Date): SQL {
  const { table, ready } = work;
  const at = since ?? table.dueAt;
  return sql`(
    select ${enqueue.queue.name}::text as queue, extract(epoch from ${at}) * 1000 as since from ${table}
    where ${isOpen(work)} and ${table.dueAt} <= ${now} ${ready ? sql`and ${ready(now)}` : sql``}
    order by ${table.dueAt} limit 1)`;
}
