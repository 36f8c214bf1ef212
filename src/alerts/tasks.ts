import { and, inArray, lt, ne } from 'drizzle-orm';
import { notices } from '../db/schema/index.ts';
import type { Work } from '../leases/define.ts';
import { sweepTasks } from '../leases/sweep.ts';
import { minutes } from '../queue/define.ts';
import type { Task } from '../queue/maintenance.ts';
import type { AlertsBase } from './deps.ts';
import { isOneOf, outbox } from './outbox.ts';
import { MAIL_KIND, REPORT_KIND } from './routes.ts';

/** By far the most rows, and not needed to send anything only once: deleted after this long. */
const FORGOTTEN = ['shipment.updated', REPORT_KIND, MAIL_KIND];
const KEPT_MS = 30 * 86_400_000;
const FORGET_ROWS = 10_000;

/** The leased work of this module. */
export const alertWorks: readonly Work[] = [outbox];

/** What the scheduler does for notices. */
export const alertTasks = (deps: AlertsBase): Task[] => [
  ...sweepTasks(deps, alertWorks),
  {
    id: 'alerts-forget',
    everyMs: minutes(10),
    run: async () => ({ forgotten: await forgetOld(deps) }),
  },
];

async function forgetOld({ db, clock }: AlertsBase): Promise<number> {
  const old = lt(notices.createdAt, new Date(clock() - KEPT_MS));
  const first = db
    .select({ id: notices.id })
    .from(notices)
    .where(and(old, ne(notices.state, 'pending'), isOneOf(FORGOTTEN)))
    .orderBy(notices.createdAt)
    .limit(FORGET_ROWS);
  const { count } = await db.delete(notices).where(inArray(notices.id, first));
  return count;
}
