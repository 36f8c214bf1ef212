import type { Work } from '../leases/define.ts';
import { sweepTasks } from '../leases/sweep.ts';
import { minutes } from '../queue/define.ts';
import type { Task } from '../queue/maintenance.ts';
import type { AlertsBase } from './deps.ts';
import { outbox } from './outbox.ts';
import { MAIL_KIND } from './routes.ts';

/** Deliveries that no rule of "once" rests on are forgotten after this long; they are by far the most. */
const KEPT_DAYS = 30;
const FORGET_ROWS = 10_000;

/** What is leased in this room. */
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
  const gone = await db.$client`
    delete from notices where id in (
      select id from notices
      where created_at < ${new Date(clock() - KEPT_DAYS * 86_400_000)} and state <> 'pending'
        and kind in ('shipment.updated', 'tracking-report', ${MAIL_KIND})
      order by created_at limit ${FORGET_ROWS})`;
  return gone.count;
}
