import { type Context, Hono } from 'hono';
import { z } from 'zod';
import type { Fleet } from '../../fleet/index.ts';
import { constantTimeEqual } from '../../lib/constant-time.ts';
import { plural } from '../../lib/plural.ts';
import { type Account, type Sessions, sameOriginOnly } from '../middleware/access.ts';
import { createThrottle, type ThrottleRule } from '../middleware/throttle.ts';
import { problem } from '../pages/error-page.tsx';
import { Layout } from '../pages/layout.tsx';
import { addressReader, fieldsOf, ownPath, wantsPage } from '../request.ts';

const RULE: ThrottleRule = {
  free: 5,
  firstMs: 1_000,
  longestMs: 60_000,
  forgetMs: 3_600_000, // an hour
  size: 10_000, // about 2 MB at most
};
/** Against guessing one name from many addresses. Higher than per address: a single address must not lock a user out. */
const RULE_OF_NAMES: ThrottleRule = { ...RULE, free: 20 };
/** One count for all unknown names: counted separately they would evict those of our users. */
const NOBODY = '';

const form = z.object({
  user: z.string().max(200),
  password: z.string().max(1_000),
  next: z.string().max(2_000).optional(),
});

/** GET and POST /login, POST /logout. */
export function login(
  { config, log, clock }: Pick<Fleet, 'config' | 'log' | 'clock'>,
  accounts: readonly Account[],
  sessions: Sessions,
): Hono {
  const app = new Hono();
  const addressOf = addressReader(config.TRUSTED_PROXIES);
  const addresses = createThrottle(RULE);
  const names = createThrottle(RULE_OF_NAMES);
  app.use('/login', sameOriginOnly, noStore);
  app.use('/logout', sameOriginOnly, noStore);

  app.get('/login', async (c) => {
    const next = ownPath(c.req.query('next'));
    if (accounts.length === 0 || (await sessions.user(c))) return c.redirect(next, 303);
    return c.html(<LoginPage next={next} />);
  });

  app.post('/login', async (c) => {
    const given = form.safeParse(await fieldsOf(c));
    if (!given.success) return problem(c, 400, 'The login needs the fields user and password.');
    const { user, password } = given.data;
    const next = ownPath(given.data.next);
    const [address, now] = [addressOf(c), clock()];
    // an unknown name may be a password typed into the wrong field
    const known = accounts.find(({ name }) => name === user)?.name;
    // no await from here to the count, so that concurrent attempts are counted one by one
    const waitMs = Math.max(addresses.waitMs(address, now), names.waitMs(known ?? NOBODY, now));
    if (waitMs > 0) return refused(c, { next, user, waitMs });
    const account = match(accounts, user, password);
    if (!account) {
      addresses.failed(address, now);
      names.failed(known ?? NOBODY, now);
      log.warn({ user: known ?? 'unknown', address }, 'login refused');
      return refused(c, { next, user });
    }
    addresses.succeeded(address);
    names.succeeded(user);
    await sessions.begin(c, account);
    log.info({ user, address }, 'logged in');
    return c.redirect(next, 303);
  });

  app.post('/logout', (c) => {
    sessions.end(c);
    return c.redirect(accounts.length === 0 ? '/' : '/login', 303);
  });
  return app;
}

const noStore = async (c: Context, next: () => Promise<void>) => {
  await next();
  c.header('Cache-Control', 'no-store');
};

/** Compares with every account in constant time. */
function match(accounts: readonly Account[], user: string, password: string): Account | undefined {
  let found: Account | undefined;
  for (const account of accounts) {
    const same = [constantTimeEqual(account.name, user), constantTimeEqual(account.password, password)];
    if (!same.includes(false)) found = account;
  }
  return found;
}

/** 401 for a wrong password; 429 with Retry-After for an unchecked attempt. */
function refused(c: Context, { next, user, waitMs = 0 }: { next: string; user: string; waitMs?: number }) {
  const waitSeconds = Math.ceil(waitMs / 1000);
  const text = waitMs
    ? `Too many failed attempts. Wait ${plural(waitSeconds, 'second')}, then try again.`
    : 'Wrong user name or password.';
  const status = waitMs ? 429 : 401;
  if (waitMs) c.header('Retry-After', String(waitSeconds));
  if (!wantsPage(c)) return c.json({ error: text }, status);
  return c.html(<LoginPage next={next} user={user} error={text} />, status);
}

const LoginPage = ({ next, user, error }: { next: string; user?: string; error?: string }) => (
  <Layout title="Log in">
    <form class="card" method="post" action="/login">
      <h1>Log in</h1>
      {error ? (
        <p class="flash bad" role="alert">
          {error}
        </p>
      ) : null}
      <label>
        User name
        <input
          name="user"
          value={user}
          autocomplete="username"
          autocapitalize="none"
          spellcheck={false}
          maxlength={200}
          required
          autofocus={!user}
        />
      </label>
      <label>
        Password
        <input
          name="password"
          type="password"
          autocomplete="current-password"
          maxlength={1000}
          required
          autofocus={Boolean(user)}
        />
      </label>
      <input type="hidden" name="next" value={next} />
      <button class="primary" type="submit">
        Log in
      </button>
    </form>
  </Layout>
);
