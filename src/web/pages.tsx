import { type Context, Hono } from 'hono';
import type { Child } from 'hono/jsx';
import { z } from 'zod';
import { openNotices } from '../alerts/index.ts';
import type { Fleet } from '../fleet.ts';
import { readOverview } from '../overview.ts';
import { readStories, toldStories } from '../stories.ts';
import { ordersAtRisk } from '../temu/awb/index.ts';
import { buyersOf } from '../temu/orders/buyer.ts';
import { countWithError, TROUBLES, troubleCounts, troubled } from '../temu/trouble.ts';
import { strangeWords } from '../tracking/index.ts';
import { actions, takeFlash } from './actions.ts';
import type { WebEnv } from './env.ts';
import { type History, readHistory, readLimitUse } from './history.ts';
import { Layout, type LayoutProps } from './layout.tsx';
import { matters, SEEN_ELSEWHERE, verdict } from './pages/matters.ts';
import { StoryPage, UnknownNumberPage } from './pages/order.tsx';
import { OrdersPage, PAGE_ROWS } from './pages/orders.tsx';
import { OverviewPage } from './pages/overview.tsx';
import { Back } from './pages/parts.tsx';
import { failedRounds } from './rounds.ts';

/** Many may look at once, and samples come once a minute: charts are read this seldom, in milliseconds. */
const HISTORY_KEPT_MS = 5_000;
/** Orders at risk that the overview names. */
const AT_RISK_SHOWN = 8;
/** Notices of a week that are looked through. */
const NOTICES_READ = 200;
/** No number of an order or a parcel is longer; nor has one a NUL, which Postgres refuses. */
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
  show: z.enum(TROUBLES).default('risk'),
  page: whole(100_000).default(1),
  /** How the error begins of the orders that are asked for. */
  says: z
    .string()
    .min(1)
    .max(400)
    .refine((text) => !text.includes('\0'))
    .optional(),
});

/** The overview and the orders' pages (O3), for whoever was let in. */
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
        <Back.Provider value={backOf(c)}>{body}</Back.Provider>
      </Layout>,
      status,
    );

  app.route('/', actions(fleet));

  app.get('/', async (c) => {
    const hours = hoursQuery.safeParse(c.req.query('hours'));
    const data = await readAll(fleet, history, hours.data ?? 24);
    return show(c, { title: data.verdict.text, here: 'overview', live: true }, <OverviewPage {...data} />);
  });

  app.get('/data.json', async (c) => {
    const hours = hoursQuery.safeParse(c.req.query('hours'));
    if (!hours.success)
      return c.json({ error: 'hours wants a whole number from 1 to 168, e.g. /data.json?hours=24' }, 400);
    return c.json(await history(hours.data));
  });

  app.get('/orders', async (c) => {
    const asked = c.req.query('q')?.trim();
    if (asked) {
      const known = await readKnown(fleet, asked);
      if (known) return c.redirect(`/orders/${encodeURIComponent(asked)}`, 303);
      return show(
        c,
        { title: 'No such number', here: 'orders' },
        <UnknownNumberPage number={shortened(asked)} />,
        404,
      );
    }
    const asks = listQuery.catch({ show: 'risk', page: 1 }).parse(c.req.query());
    const { show: trouble, page } = asks;
    const says = trouble === 'errors' ? asks.says : undefined;
    const now = fleet.clock();
    const [counts, rows, total] = await Promise.all([
      troubleCounts(db, now),
      troubled(db, trouble, now, { limit: PAGE_ROWS, offset: (page - 1) * PAGE_ROWS, says }),
      says === undefined ? 0 : countWithError(db, says),
    ]);
    const errors = says === undefined ? undefined : { says, total };
    const body = <OrdersPage show={trouble} {...{ page, counts, rows, errors, now }} />;
    return show(c, { title: 'Orders', here: 'orders', live: true }, body);
  });

  app.get('/orders/:number', async (c) => {
    const number = c.req.param('number').trim();
    const stories = await readKnown(fleet, number);
    if (!stories)
      return show(
        c,
        { title: 'No such number', here: 'orders' },
        <UnknownNumberPage number={shortened(number)} />,
        404,
      );
    const numbers = stories.orders.map(({ marketplaceOrderId }) => marketplaceOrderId);
    // T18: they are not even read for those who may not see them
    const buyers = c.var.user.role === 'write' ? await buyersOf(db, numbers) : null;
    const body = <StoryPage number={number} stories={stories} buyers={buyers} now={fleet.clock()} />;
    return show(c, { title: number, here: 'orders', live: true }, body);
  });
  return app;
}

/** The page itself, for those who may use its buttons. */
function backOf(c: Context<WebEnv>): string | undefined {
  const { pathname, search } = new URL(c.req.url);
  return c.var.user.role === 'write' ? pathname + search : undefined;
}

const shortened = (text: string) =>
  text.length > LONGEST_NUMBER ? `${text.slice(0, LONGEST_NUMBER)}…` : text;

/** What is known under a number, or undefined. */
async function readKnown(fleet: Fleet, number: string) {
  if (!isNumber(number)) return undefined;
  const stories = toldStories(await readStories(fleet, number));
  return Object.values(stories).some((list) => list.length > 0) ? stories : undefined;
}

/** All that the overview shows, read side by side. */
async function readAll(fleet: Fleet, history: (hours: number) => Promise<History>, hours: number) {
  const { db, trackers } = fleet;
  const now = fleet.clock();
  const [overview, troubles, atRisk, words, notices, rounds, limits, charts] = await Promise.all([
    readOverview(fleet, { openOrders: true }),
    troubleCounts(db, now),
    ordersAtRisk(db, now, AT_RISK_SHOWN),
    strangeWords(db),
    openNotices(db, NOTICES_READ, now, SEEN_ELSEWHERE),
    failedRounds(fleet),
    readLimitUse(fleet),
    history(hours),
  ]);
  const open = words.filter(({ means }) => means === null);
  const roundMs = new Map(trackers.map(({ name, everyMs }) => [name, everyMs]));
  const all = matters({ overview, troubles, words: open, notices, rounds, roundMs, now });
  return {
    ...{ overview, troubles, atRisk, limits, now, history: charts },
    ...{ words: open, matters: all, verdict: verdict(all, overview) },
  };
}

/** Keeps what was read for a moment, by window. */
function keptHistory(fleet: Fleet): (hours: number) => Promise<History> {
  const kept = new Map<number, { readAt: number; history: Promise<History> }>();
  return (hours) => {
    const now = fleet.clock();
    const last = kept.get(hours);
    if (last && now - last.readAt < HISTORY_KEPT_MS) return last.history;
    const history = readHistory(fleet, hours);
    kept.set(hours, { readAt: now, history });
    history.catch(() => kept.delete(hours)); // a failure is told to those who asked, and not kept
    return history;
  };
}
