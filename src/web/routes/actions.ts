import { type Context, Hono } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import type { Fleet } from '../../fleet/index.ts';
import { UserError } from '../../lib/errors.ts';
import { plural } from '../../lib/plural.ts';
import { retryPushes } from '../../temu/awb/index.ts';
import { openWindows } from '../../temu/orders/index.ts';
import { pauseStore, resumeStore, storeByName } from '../../temu/stores.ts';
import { startRun, trackerNamed } from '../../tracking/index.ts';
import type { User, WebEnv } from '../context.ts';
import { problem } from '../pages/error-page.tsx';
import { fieldsOf, ownPath } from '../request.ts';

/** Result of an action, shown once on the next page. */
export interface Flash {
  text: string;
  good: boolean;
}

type Action = (fleet: Fleet, of: string, user: User) => Promise<Flash>;

const good = (text: string): Flash => ({ text, good: true });

/** Actions of the pages' buttons, each equal to the CLI command of its name. Each @throws UserError */
const ACTIONS = {
  async sync(fleet, of) {
    const store = await storeByName(fleet.db, of);
    if (!store.active) throw new UserError(`Store “${of}” is paused: resume it first.`);
    await openWindows(fleet, [store.id]);
    return good(`Syncing the orders of “${of}” now.`);
  },
  async pause({ db, config }, of, { name }) {
    await pauseStore(db, of, `paused manually on the dashboard${config.DASHBOARD_USER ? ` by ${name}` : ''}`);
    return good(`Store “${of}” paused.`);
  },
  async resume({ db }, of) {
    await resumeStore(db, of);
    return good(`Store “${of}” resumed; it catches up on what it missed.`);
  },
  async track(fleet, of) {
    const tracker = trackerNamed(fleet.trackers, of);
    const started = await startRun(fleet, tracker);
    return started.is === 'started'
      ? good(`${tracker.courier.title}: started a run of ${plural(started.planned, 'parcel')}.`)
      : { good: false, text: `${tracker.courier.title}: no run started: ${started.reason}.` };
  },
  async retry(fleet, of) {
    const ids = await retryPushes(fleet, { order: of });
    return good(`${plural(ids.length, 'AWB')} of order ${of} queued for Temu again.`);
  },
  async retryFailed(fleet) {
    const ids = await retryPushes(fleet, { failed: true });
    return good(`${plural(ids.length, 'AWB')} queued for Temu again, earliest deadline first.`);
  },
} satisfies Record<string, Action>;
export type ActionName = keyof typeof ACTIONS;

/** POST /actions: the button's name is the action, its value the target, `back` the page to return to (O3). */
export function actions(fleet: Fleet): Hono<WebEnv> {
  const app = new Hono<WebEnv>();
  app.post('/actions', async (c) => {
    const { user } = c.var;
    if (user.role !== 'write') return problem(c, 403, `${user.name} has read-only access.`);
    const body = await fieldsOf(c);
    const name = (Object.keys(ACTIONS) as ActionName[]).find((one) => typeof body?.[one] === 'string');
    if (!body || !name)
      return problem(c, 400, `Unknown action. Available: ${Object.keys(ACTIONS).join(', ')}.`);
    const of = String(body[name]);
    const flash = await done(() => (ACTIONS[name] as Action)(fleet, of, user));
    fleet.log.info({ user: user.name, action: name, of, good: flash.good }, 'dashboard action');
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
/** A cookie holds 4,096 bytes; a character takes up to twelve when encoded. */
const LONGEST_FLASH = 330;

const leaveFlash = (c: Context, { text, good }: Flash) =>
  setCookie(c, COOKIE, `${good ? '+' : '-'}${[...text].slice(0, LONGEST_FLASH).join('')}`, {
    ...{ httpOnly: true, sameSite: 'Strict', path: '/' },
    maxAge: 60, // seconds: the redirect reads it at once
  });

/** Reads and clears the result of the last action. */
export function takeFlash(c: Context): Flash | undefined {
  const left = getCookie(c, COOKIE);
  if (!left) return undefined;
  deleteCookie(c, COOKIE, { path: '/' });
  return { good: left.startsWith('+'), text: left.slice(1) };
}
