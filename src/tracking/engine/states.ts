import { sql } from 'drizzle-orm';
import { trackingBatches, trackingRuns } from '../../db/schema/index.ts';

// literals, not parameters: only then can a prepared statement use the partial indexes

export const runGoesOn = sql`${trackingRuns.state} = 'running'`;
export const batchIsOpen = sql`${trackingBatches.state} in ('pending', 'working')`;
