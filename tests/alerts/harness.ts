import { createDelivery } from '../../src/alerts/deliver.ts';
import { ALERT_TIMINGS, type AlertsDeps, type AlertTimings } from '../../src/alerts/deps.ts';
import { outbox } from '../../src/alerts/outbox.ts';
import type { WebhookEvent } from '../../src/alerts/routes.ts';
import { addEndpoint } from '../../src/alerts/webhooks/endpoints.ts';
import { enqueueDue } from '../../src/leases/enqueue.ts';
import type { Outcome } from '../../src/queue/handle.ts';
import type { Queues } from '../../src/queue/queues.ts';
import { startTestFleet, type TestFleet } from '../support/fleet.ts';
import type { Backend } from '../support/redis.ts';

const NOWHERE = { eu: 'http://127.0.0.1:9/', us: 'http://127.0.0.1:9/', global: 'http://127.0.0.1:9/' };

type Job = { lane: string; endpointId?: string };

export interface NoticeRow {
  id: string;
  kind: string;
  state: string;
  attempts: number;
  error: string | null;
  dueAt: Date;
  sentAt: Date | null;
}

/** The outbox and its delivery in this process, with a clock that only the test moves. */
export interface AlertStand {
  stack: TestFleet;
  deps: AlertsDeps;
  advance(ms: number): void;
  /** Writes a notice as others do. @returns its id */
  notice(kind: string, payload: Record<string, unknown>): Promise<string>;
  /** A parcel's notice, as tracking writes it (C12). */
  parcel(kind: string, awb: string, more?: Record<string, unknown>): Promise<string>;
  endpoint(url: string, events: WebhookEvent[]): Promise<{ id: string; secret: string }>;
  /** The sweep, then all jobs that it made, side by side. */
  turn(): Promise<Outcome[]>;
  /** The clock goes to when the next notice is due, and a turn runs. @returns false when none is pending */
  next(): Promise<boolean>;
  /** Another worker takes over: what is not in Postgres is forgotten. */
  restart(): void;
  row(id: string): Promise<NoticeRow>;
  rows(): Promise<NoticeRow[]>;
  clear(): Promise<void>;
  close(): Promise<void>;
}

export async function startAlertStand(
  settings: Record<string, string> = {},
  options: { backend?: Backend; timings?: Partial<AlertTimings> } = {},
): Promise<AlertStand> {
  const stack = await startTestFleet(options.backend ?? 'postgres', NOWHERE, settings);
  const sql = stack.sql;
  let offsetMs = 0;
  const deps: AlertsDeps = { ...stack.fleet, clock: () => Date.now() + offsetMs };
  const start = () => createDelivery(deps, { ...ALERT_TIMINGS, ...options.timings });
  let deliver = start();
  const select = sql`select id, kind, state, attempts, error, due_at as "dueAt", sent_at as "sentAt" from notices`;
  let made = 0;
  const stand: AlertStand = {
    stack,
    deps,
    advance(ms) {
      offsetMs += ms;
    },
    async notice(kind, payload) {
      const [row] = await sql<{ id: string }[]>`
        insert into notices (kind, key, payload, due_at, created_at)
        values (${kind}, ${`${kind} ${++made}`}, ${sql.json(payload as never)}, ${new Date(deps.clock())}, ${new Date(deps.clock())})
        returning id`;
      return row?.id ?? '';
    },
    parcel: (kind, awb, more = {}) =>
      stand.notice(kind, {
        order: `#${awb}`,
        source: 'shopify',
        tracker: 'delhivery-b2c',
        awb,
        courierStatus: 'ud-not_picked',
        at: '2026-11-22T14:05:00Z',
        ...more,
      }),
    endpoint: (url, events) => addEndpoint(deps.db, deps.secrets, url, events),
    async turn() {
      const jobs: Job[] = [];
      const add: Queues['add'] = async (_, made) => {
        jobs.push(...made.map(({ payload }) => payload as Job));
      };
      await enqueueDue({ ...deps, queues: { ...deps.queues, add } }, outbox);
      return await Promise.all(
        jobs.map((job) =>
          deliver(job, { signal: new AbortController().signal, log: stack.fleet.log, redelivered: false }),
        ),
      );
    },
    async next() {
      const [row] = await sql<
        { due: Date | null }[]
      >`select min(due_at) as due from notices where state = 'pending'`;
      if (!row?.due) return false;
      offsetMs += Math.max(0, row.due.getTime() - deps.clock()) + 1;
      await stand.turn();
      return true;
    },
    restart() {
      deliver = start();
    },
    async row(id) {
      const [row] = await sql<NoticeRow[]>`${select} where id = ${id}`;
      if (!row) throw new Error(`no notice ${id}`);
      return row;
    },
    rows: () => sql<NoticeRow[]>`${select} order by created_at`,
    async clear() {
      offsetMs = 0;
      await sql`delete from notices`;
      await sql`delete from webhook_endpoints`;
      deliver = start();
    },
    close: () => stack.close(),
  };
  return stand;
}
