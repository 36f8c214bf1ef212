import { sql } from 'drizzle-orm';
import { rows } from '../db/query.ts';
import type { TrackingBase } from './deps.ts';

/**
 * P10: makes the partitions of history (`shipment_events`) for this month and the next three. What had to go into the
 * default partition moves into one of its own month. It gives up what it does not get a lock for at once, and several schedulers
 * may call it at once (drizzle/0032).
 * @returns how many were made
 */
export async function makePartitions({ db, clock }: Pick<TrackingBase, 'db' | 'clock'>): Promise<number> {
  const made = sql<number>`shipment_events_make_partitions(${new Date(clock()).toISOString()})`;
  const [row] = await rows(db, { made }, (list) => sql`select ${list}`);
  return row?.made ?? 0;
}
