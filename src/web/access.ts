import { createHmac } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { deleteCookie, getSignedCookie, setSignedCookie } from 'hono/cookie';
import type { Config } from '../config.ts';
import { UserError } from '../errors.ts';
import type { User, WebEnv } from './env.ts';
import { problem } from './problem.tsx';
import { hostOf, isHttps, isLoopback, isProxied, isSameOrigin, wantsPage } from './request.ts';

export interface Account extends User {
  password: string;
}

type AccessConfig = Pick<
  Config,
  'HOST' | 'DASHBOARD_USER' | 'DASHBOARD_PASSWORD' | 'DASHBOARD_READER' | 'DASHBOARD_READER_PASSWORD'
>;

/**
 * Who may log in; nobody means that there is no login, on loopback alone (O3).
 * @throws UserError with a line for each half of a pair, for a name given twice, and for an address that others can
 * reach without a password: then nothing listens.
 */
export function accountsOf(config: AccessConfig): Account[] {
  const faults: string[] = [];
  const account = (user: keyof AccessConfig, password: keyof AccessConfig, role: User['role']): Account[] => {
    const [name, secret] = [config[user], config[password]];
    if (name && secret) return [{ name, password: secret, role }];
    if (name) faults.push(`${password} is not set; it wants the password of ${user}`);
    if (secret) faults.push(`${user} is not set; it wants the user whose password ${password} is`);
    return [];
  };
  const accounts = [
    ...account('DASHBOARD_USER', 'DASHBOARD_PASSWORD', 'write'),
    ...account('DASHBOARD_READER', 'DASHBOARD_READER_PASSWORD', 'read'),
  ];
  if (config.DASHBOARD_USER !== undefined && config.DASHBOARD_USER === config.DASHBOARD_READER)
    faults.push('DASHBOARD_READER holds the name of DASHBOARD_USER; it wants another one');
  if (!isLoopback(config.HOST) && !config.DASHBOARD_USER && !config.DASHBOARD_PASSWORD)
    faults.push(
      `HOST holds ${JSON.stringify(config.HOST)}, where others reach the dashboard; ` +
        'it wants DASHBOARD_USER and DASHBOARD_PASSWORD to be set, or a loopback address such as 127.0.0.1',
    );
  if (faults.length === 0) return accounts;
  throw new UserError(
    `The environment has ${faults.length} fault${faults.length === 1 ? '' : 's'}:\n${faults.map((line) => `  ${line}`).join('\n')}`,
  );
}

const COOKIE = 'orderfleet_session';
/** __Host- where there is https: no other name of the domain can set a cookie in its place. */
const overHttps = (c: Context) => (isHttps(c) ? ({ secure: true, prefix: 'host' } as const) : undefined);
/** A working day: nobody is asked twice in it, and a browser left open is closed by the next morning. */
const SESSION_MS = 12 * 3600 * 1000;

/** Sessions live in a signed cookie alone: every web process knows them, and a restart ends none. */
export interface Sessions {
  begin(c: Context, account: Account): Promise<void>;
  user(c: Context): Promise<User | undefined>;
  end(c: Context): void;
}

/**
 * The cookie holds when the session ends (epoch milliseconds), signed with a key of the user's own that is made from
 * CREDENTIALS_KEY, name, role and password: whoever changes one of them ends all sessions of that user.
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
        // not Strict: a link in a Slack message or a mail is to open the page, not the login. CSRF has its own guard.
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

/** Whoever comes by loopback where no users are set; the name is shown nowhere but in the log. */
const LOCAL: User = { name: 'local', role: 'write' };

const isReading = (c: Context) => ['GET', 'HEAD', 'OPTIONS'].includes(c.req.method);

/** What changes something must come from a page of ours, whoever is logged in (CSRF). */
export const sameOriginOnly: MiddlewareHandler = async (c, next) => {
  if (isReading(c) || isSameOrigin(c)) return await next();
  return problem(
    c,
    403,
    'This request came from another site. Use the buttons of the dashboard itself; a script sends an Origin header, and a proxy must pass the Host header on.',
  );
};

/**
 * Lets in who is logged in, as `c.var.user`; readers may read (O3). A browser that asks for a page is led to the login,
 * everything else gets 401. Without users it is the machine's own people that come, by its own name alone and directly: a
 * foreign name that leads here is DNS rebinding, by which another site's page would read the dashboard, and behind a
 * proxy is anybody.
 */
export const loggedInOnly =
  (accounts: readonly Account[], sessions: Sessions): MiddlewareHandler<WebEnv> =>
  async (c, next) => {
    if (accounts.length === 0 && (!isLoopback(hostOf(c)) || isProxied(c)))
      return problem(
        c,
        421,
        'This dashboard has no login, so it answers to localhost and 127.0.0.1 alone, and through no proxy. Set DASHBOARD_USER and DASHBOARD_PASSWORD to reach it by another name or way.',
      );
    const user = accounts.length === 0 ? LOCAL : await sessions.user(c);
    if (!user && wantsPage(c)) {
      const { pathname, search } = new URL(c.req.url);
      const next = isReading(c) && pathname !== '/' ? `?next=${encodeURIComponent(pathname + search)}` : '';
      return c.redirect(`/login${next}`, 303);
    }
    if (!user) return c.json({ error: 'log in first, at /login: there is no session, or it has ended' }, 401);
    if (user.role === 'read' && !isReading(c))
      return problem(c, 403, `${user.name} may look, but change nothing.`);
    c.set('user', user);
    await next();
    if (!c.res.headers.has('cache-control')) c.header('Cache-Control', 'no-store');
    return undefined;
  };
