import { createHmac } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { deleteCookie, getSignedCookie, setSignedCookie } from 'hono/cookie';
import type { Config } from '../../config/index.ts';
import { UserError } from '../../lib/errors.ts';
import { plural } from '../../lib/plural.ts';
import type { User, WebEnv } from '../context.ts';
import { problem } from '../pages/error-page.tsx';
import { hostOf, isHttps, isLoopback, isProxied, isSameOrigin, wantsPage } from '../request.ts';

export interface Account extends User {
  password: string;
}

type AccessConfig = Pick<
  Config,
  'HOST' | 'DASHBOARD_USER' | 'DASHBOARD_PASSWORD' | 'DASHBOARD_READER' | 'DASHBOARD_READER_PASSWORD'
>;

/**
 * Who may log in; none: no login, which is allowed on loopback only (O3).
 * @throws UserError with a line per configuration error: a user without a password or the reverse, a name used twice,
 * a public address without a password
 */
export function accountsOf(config: AccessConfig): Account[] {
  const faults: string[] = [];
  const account = (user: keyof AccessConfig, password: keyof AccessConfig, role: User['role']): Account[] => {
    const [name, secret] = [config[user], config[password]];
    if (name && secret) return [{ name, password: secret, role }];
    if (name) faults.push(`${password} is not set: expected the password of ${user}`);
    if (secret) faults.push(`${user} is not set: expected the user of ${password}`);
    return [];
  };
  const accounts = [
    ...account('DASHBOARD_USER', 'DASHBOARD_PASSWORD', 'write'),
    ...account('DASHBOARD_READER', 'DASHBOARD_READER_PASSWORD', 'read'),
  ];
  if (config.DASHBOARD_USER !== undefined && config.DASHBOARD_USER === config.DASHBOARD_READER)
    faults.push('DASHBOARD_READER has the same name as DASHBOARD_USER: choose another one');
  if (!isLoopback(config.HOST) && !config.DASHBOARD_USER && !config.DASHBOARD_PASSWORD)
    faults.push(
      `HOST holds ${JSON.stringify(config.HOST)}, which others can reach; ` +
        'expected DASHBOARD_USER and DASHBOARD_PASSWORD to be set, or a loopback address such as 127.0.0.1',
    );
  if (faults.length === 0) return accounts;
  throw new UserError(
    `${plural(faults.length, 'configuration error')}:\n${faults.map((line) => `  ${line}`).join('\n')}`,
  );
}

const COOKIE = 'orderfleet_session';
/** __Host- with https: no other host of the domain can overwrite the cookie. */
const overHttps = (c: Context) => (isHttps(c) ? ({ secure: true, prefix: 'host' } as const) : undefined);
/** A working day: one login a day, and a browser left open is logged out by the next morning. */
const SESSION_MS = 12 * 3600 * 1000;

/** Sessions exist only as a signed cookie: valid in every web process, and across restarts. */
export interface Sessions {
  begin(c: Context, account: Account): Promise<void>;
  user(c: Context): Promise<User | undefined>;
  end(c: Context): void;
}

/**
 * The cookie holds the session's end (epoch milliseconds), signed with a key per user that is derived from CREDENTIALS_KEY,
 * name, role and password: changing one of them ends all sessions of that user.
 */
export function createSessions(
  accounts: readonly Account[],
  credentialsKey: Buffer,
  clock: () => number,
): Sessions {
  const keyed = accounts.map(({ name, role, password }) => ({
    user: { name, role },
    key: createHmac('sha256', credentialsKey)
      .update(`orderfleet dashboard session ${JSON.stringify([name, role, password])}`)
      .digest(),
  }));
  return {
    async begin(c, account) {
      const key = keyed.find(({ user }) => user.name === account.name)?.key;
      if (!key) throw new Error('no such account');
      await setSignedCookie(c, COOKIE, String(clock() + SESSION_MS), key, {
        httpOnly: true,
        // not Strict: links in Slack messages and mails must open the page, not the login. CSRF is checked separately.
        sameSite: 'Lax',
        path: '/',
        maxAge: SESSION_MS / 1000,
        ...overHttps(c),
      });
    },
    async user(c) {
      for (const { user, key } of keyed) {
        const value = await getSignedCookie(c, key, COOKIE, overHttps(c)?.prefix);
        if (value && Number(value) > clock()) return user;
      }
      return undefined;
    },
    end: (c) => void deleteCookie(c, COOKIE, { path: '/', ...overHttps(c) }),
  };
}

/** The user on loopback when no users are configured; the name appears only in the log. */
const LOCAL: User = { name: 'local', role: 'write' };

const isReading = (c: Context) => ['GET', 'HEAD', 'OPTIONS'].includes(c.req.method);

/** Requests that change something must come from our own pages (CSRF). */
export const sameOriginOnly: MiddlewareHandler = async (c, next) => {
  if (isReading(c) || isSameOrigin(c)) return await next();
  return problem(
    c,
    403,
    'This request came from another site. Use the dashboard’s own buttons; a script must send an Origin header, and a proxy must forward the Host header.',
  );
};

/**
 * Sets `c.var.user` for a logged-in user; readers may read (O3). A browser is redirected to the login page, everything
 * else gets 401. Without configured users only direct requests to a loopback name are accepted: another host name is DNS
 * rebinding, by which another site's page could read the dashboard, and behind a proxy may be anybody.
 */
export const loggedInOnly =
  (accounts: readonly Account[], sessions: Sessions): MiddlewareHandler<WebEnv> =>
  async (c, next) => {
    if (accounts.length === 0 && (!isLoopback(hostOf(c)) || isProxied(c)))
      return problem(
        c,
        421,
        'This dashboard has no login, so it only accepts requests to localhost or 127.0.0.1 without a proxy. Set DASHBOARD_USER and DASHBOARD_PASSWORD to allow others.',
      );
    const user = accounts.length === 0 ? LOCAL : await sessions.user(c);
    if (!user && wantsPage(c)) {
      const { pathname, search } = new URL(c.req.url);
      const next = isReading(c) && pathname !== '/' ? `?next=${encodeURIComponent(pathname + search)}` : '';
      return c.redirect(`/login${next}`, 303);
    }
    if (!user) return c.json({ error: 'log in first, at /login: there is no session, or it has ended' }, 401);
    if (user.role === 'read' && !isReading(c)) return problem(c, 403, `${user.name} has read-only access.`);
    c.set('user', user);
    await next();
    if (!c.res.headers.has('cache-control')) c.header('Cache-Control', 'no-store');
    return undefined;
  };
