import { type Context, Hono } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { UserError } from '../errors.ts';
import type { Fleet } from '../fleet.ts';
import { retryPushes } from '../temu/awb/index.ts';
import { openWindows } from '../temu/orders/index.ts';
import { pauseStore, resumeStore, storeByName } from '../temu/stores.ts';
import { startRun, trackerNamed } from '../tracking/index.ts';
import type { User, WebEnv } from './env.ts';
import { plural } from './pages/matter.ts';
import { problem } from './problem.tsx';
import { fieldsOf, ownPath } from './request.ts';

/** What a button has done, told once on the page that comes next. */
export interface Flash {
  text: string;
  good: boolean;
}

type Action = (fleet: Fleet, of: string, user: User) => Promise<Flash>;

const good = (text: string): Flash => ({ text, good: true });

/** What the buttons of the pages do, by their names: what the commands of the same names do. Each @throws UserError */
const ACTIONS = {
  async sync(fleet, of) {
    const store = await storeByName(fleet.db, of);
    if (!store.active) throw new UserError(`The store “${of}” is paused: resume it first.`);
    await openWindows(fleet, [store.id]);
    return good(`The orders of “${of}” are being read now.`);
  },
  async pause({ db, config }, of, { name }) {
    await pauseStore(db, of, `paused by hand on the dashboard${config.DASHBOARD_USER ? ` by ${name}` : ''}`);
    return good(`The store “${of}” is paused.`);
  },
  async resume({ db }, of) {
    await resumeStore(db, of);
    return good(`The store “${of}” goes on; what it missed comes in.`);
  },
  async track(fleet, of) {
    const tracker = trackerNamed(fleet.trackers, of);
    const started = await startRun(fleet, tracker);
    return started.is === 'started'
      ? good(`${tracker.courier.title}: a round of ${started.planned} parcels has begun.`)
      : { good: false, text: `${tracker.courier.title}: no round has begun: ${started.reason}.` };
  },
  async retry(fleet, of) {
    const ids = await retryPushes(fleet, { order: of });
    return good(`${plural(ids.length, 'AWB')} of order ${of} will be told to Temu again.`);
  },
  async retryFailed(fleet) {
    const ids = await retryPushes(fleet, { failed: true });
    return good(`${plural(ids.length, 'AWB')} will be told to Temu again, the earliest deadline first.`);
  },
} satisfies Record<string, Action>;
export type ActionName = keyof typeof ACTIONS;

/** POST /actions: the button's name is what to do, its value to what, and `back` the page it was on (O3). */
export function actions(fleet: Fleet): Hono<WebEnv> {
  const app = new Hono<WebEnv>();
  app.post('/actions', async (c) => {
    const { user } = c.var;
    if (user.role !== 'write') return problem(c, 403, `${user.name} may look, but change nothing.`);
    const body = await fieldsOf(c);
    const name = (Object.keys(ACTIONS) as ActionName[]).find((one) => typeof body?.[one] === 'string');
    if (!body || !name)
      return problem(c, 400, `There is no such button. There are: ${Object.keys(ACTIONS).join(', ')}.`);
    const of = String(body[name]);
    const flash = await done(() => (ACTIONS[name] as Action)(fleet, of, user));
    fleet.log.info({ user: user.name, action: name, of, good: flash.good }, 'done on the dashboard');
    leaveFlash(c, flash);
    return c.redirect(ownPath(String(body.back ?? '/')), 303);
  });
  return app;
}

async function done(action: () => Promise<Flash>): Promise<Flash> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof UserError) return { good: false, text: error.message };
    throw error;
  }
}

const COOKIE = 'orderfleet_done';
/** A cookie holds 4,096 bytes, and a character takes twelve of them at most. */
const LONGEST_FLASH = 330;

const leaveFlash = (c: Context, { text, good }: Flash) =>
  setCookie(c, COOKIE, `${good ? '+' : '-'}${[...text].slice(0, LONGEST_FLASH).join('')}`, {
    ...{ httpOnly: true, sameSite: 'Strict', path: '/' },
    maxAge: 60, // seconds: it is read at once, or not at all
  });

/** What was done just before, once. */
export function takeFlash(c: Context): Flash | undefined {
  const left = getCookie(c, COOKIE);
  if (!left) return undefined;
  deleteCookie(c, COOKIE, { path: '/' });
  return { good: left.startsWith('+'), text: left.slice(1) };
}
