import { type Context, Hono } from 'hono';
import type { Child } from 'hono/jsx';
import { z } from 'zod';
import { openNotices } from '../../alerts/index.ts';
import type { Fleet } from '../../fleet/index.ts';
import { SHOWN_FROM_ROWS } from '../../notices/index.ts';
import { type ChartHistory, readCharts, readLimitUse } from '../../ops/charts.ts';
import { readTimelines, visibleTimelines } from '../../ops/explain.ts';
import { readOverview } from '../../ops/overview.ts';
import { ordersAtRisk } from '../../orders/at-risk.ts';
import { ATTENTION_LISTS, attentionCounts, countWithError, listAttention } from '../../orders/attention.ts';
import { buyersOf } from '../../orders/buyer.ts';
import { failedRuns } from '../../tracking/failed-runs.ts';
import { listUnmapped } from '../../tracking/index.ts';
import type { WebEnv } from '../context.ts';
import { attentionItems, headline } from '../pages/attention.ts';
import { Layout, type LayoutProps } from '../pages/layout.tsx';
import { TimelinePage, UnknownNumberPage } from '../pages/order.tsx';
import { OrdersPage, PAGE_ROWS } from '../pages/orders.tsx';
import { OverviewPage } from '../pages/overview.tsx';
import { ReturnPath } from '../pages/parts.tsx';
import { actions, takeFlash } from './actions.ts';

/** How long charts are cached, in milliseconds: there is one sample a minute, and there may be many viewers. */
const HISTORY_KEPT_MS = 5_000;
/** Orders at risk listed on the overview. */
const AT_RISK_SHOWN = 8;
/** Most notices read for the overview. */
const NOTICES_READ = 200;
/** No order or parcel number is longer, or has a NUL, which Postgres rejects. */
const LONGEST_NUMBER = 100;
const isNumber = (text: string) => text !== '' && text.length <= LONGEST_NUMBER && !text.includes('\0');

const whole = (max: number) =>
  z
    .string()
    .regex(/^\d{1,6}$/)
    .transform(Number)
    .refine((number) => number >= 1 && number <= max);
const hoursQuery = whole(168).default(24);
const listQuery = z.object({
  show: z.enum(ATTENTION_LISTS).default('risk'),
  page: whole(100_000).default(1),
  /** Only orders whose error begins with this. */
  says: z
    .string()
    .min(1)
    .max(400)
    .refine((text) => !text.includes('\0'))
    .optional(),
});

/** The overview and the order pages (O3). */
export function pages(fleet: Fleet): Hono<WebEnv> {
  const app = new Hono<WebEnv>();
  const { db, config } = fleet;
  const signOut = Boolean(config.DASHBOARD_USER || config.DASHBOARD_READER);
  const history = keptHistory(fleet);
  const show = (
    c: Context<WebEnv>,
    props: Pick<LayoutProps, 'title' | 'here' | 'live'>,
    body: Child,
    status: 200 | 404 = 200,
  ) =>
    c.html(
      <Layout {...props} user={c.var.user} signOut={signOut} flash={takeFlash(c)}>
        <ReturnPath.Provider value={backOf(c)}>{body}</ReturnPath.Provider>
      </Layout>,
      status,
    );

  app.route('/', actions(fleet));

  app.get('/', async (c) => {
    const hours = hoursQuery.safeParse(c.req.query('hours'));
    const data = await readAll(fleet, history, hours.data ?? 24);
    return show(c, { title: data.headline.text, here: 'overview', live: true }, <OverviewPage {...data} />);
  });

  app.get('/data.json', async (c) => {
    const hours = hoursQuery.safeParse(c.req.query('hours'));
    if (!hours.success)
      return c.json({ error: 'hours: expected a whole number from 1 to 168, e.g. /data.json?hours=24' }, 400);
    return c.json(await history(hours.data));
  });

  app.get('/orders', async (c) => {
    const asked = c.req.query('q')?.trim();
    if (asked) {
      const known = await readKnown(fleet, asked);
      if (known) return c.redirect(`/orders/${encodeURIComponent(asked)}`, 303);
      return show(
        c,
        { title: 'Not found', here: 'orders' },
        <UnknownNumberPage number={shortened(asked)} />,
        404,
      );
    }
    const asks = listQuery.catch({ show: 'risk', page: 1 }).parse(c.req.query());
    const { show: trouble, page } = asks;
    const says = trouble === 'errors' ? asks.says : undefined;
    const now = fleet.clock();
    const [counts, rows, total] = await Promise.all([
      attentionCounts(db, now),
      listAttention(db, trouble, now, { limit: PAGE_ROWS, offset: (page - 1) * PAGE_ROWS, says }),
      says === undefined ? 0 : countWithError(db, says),
    ]);
    const errors = says === undefined ? undefined : { says, total };
    const body = <OrdersPage show={trouble} {...{ page, counts, rows, errors, now }} />;
    return show(c, { title: 'Orders', here: 'orders', live: true }, body);
  });

  app.get('/orders/:number', async (c) => {
    const number = c.req.param('number').trim();
    const timelines = await readKnown(fleet, number);
    if (!timelines)
      return show(
        c,
        { title: 'Not found', here: 'orders' },
        <UnknownNumberPage number={shortened(number)} />,
        404,
      );
    const numbers = timelines.orders.map(({ marketplaceOrderId }) => marketplaceOrderId);
    // T18: not even read for users who may not see them
    const buyers = c.var.user.role === 'write' ? await buyersOf(db, numbers) : null;
    const body = <TimelinePage number={number} timelines={timelines} buyers={buyers} now={fleet.clock()} />;
    return show(c, { title: number, here: 'orders', live: true }, body);
  });
  return app;
}

/** The current page, for users who may use its buttons. */
function backOf(c: Context<WebEnv>): string | undefined {
  const { pathname, search } = new URL(c.req.url);
  return c.var.user.role === 'write' ? pathname + search : undefined;
}

const shortened = (text: string) =>
  text.length > LONGEST_NUMBER ? `${text.slice(0, LONGEST_NUMBER)}…` : text;

/** The timelines of a number, or undefined. */
async function readKnown(fleet: Fleet, number: string) {
  if (!isNumber(number)) return undefined;
  const timelines = visibleTimelines(await readTimelines(fleet, number));
  return Object.values(timelines).some((list) => list.length > 0) ? timelines : undefined;
}

/** The overview's data, read in parallel. */
async function readAll(fleet: Fleet, history: (hours: number) => Promise<ChartHistory>, hours: number) {
  const { db, trackers } = fleet;
  const now = fleet.clock();
  const [overview, counts, atRisk, statuses, notices, failed, limits, charts] = await Promise.all([
    readOverview(fleet, { openOrders: true }),
    attentionCounts(db, now),
    ordersAtRisk(db, now, AT_RISK_SHOWN),
    listUnmapped(db),
    openNotices(db, NOTICES_READ, now, SHOWN_FROM_ROWS),
    failedRuns(db),
    readLimitUse(fleet),
    history(hours),
  ]);
  const unmapped = statuses.filter(({ means }) => means === null);
  const all = attentionItems({ overview, counts, unmapped, notices, failedRuns: failed, trackers, now });
  return {
    ...{ overview, counts, atRisk, limits, now, history: charts },
    ...{ unmapped, attention: all, headline: headline(all, overview) },
  };
}

/** Caches history by window. */
function keptHistory(fleet: Fleet): (hours: number) => Promise<ChartHistory> {
  const kept = new Map<number, { readAt: number; history: Promise<ChartHistory> }>();
  return (hours) => {
    const now = fleet.clock();
    const last = kept.get(hours);
    if (last && now - last.readAt < HISTORY_KEPT_MS) return last.history;
    const history = readCharts(fleet, hours);
    kept.set(hours, { readAt: now, history });
    history.catch(() => kept.delete(hours)); // failures are not cached
    return history;
  };
}
