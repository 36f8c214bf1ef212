import { connect } from 'node:net';
import fc from 'fast-check';
import { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/index.ts';
import { UserError } from '../../src/lib/errors.ts';
import { accountsOf } from '../../src/web/middleware/access.ts';
import { createThrottle } from '../../src/web/middleware/throttle.ts';
import { addressReader, isLoopback, ownPath } from '../../src/web/request.ts';
import { createApp, serveWeb } from '../../src/web/server.ts';
import { startTestFleet, type TestFleet } from '../support/fleet.ts';
import { startProcess } from '../support/process.ts';

const NOWHERE = { eu: 'http://127.0.0.1:9/', us: 'http://127.0.0.1:9/', global: 'http://127.0.0.1:9/' };
const WRITER = { DASHBOARD_USER: 'ops', DASHBOARD_PASSWORD: 'correct-horse' };
const READER = { DASHBOARD_READER: 'guest', DASHBOARD_READER_PASSWORD: 'battery-staple' };
const PAGE = { accept: 'text/html,application/xhtml+xml' };
const HOST = { host: 'fleet.example' };
const OWN = { ...HOST, ...PAGE, origin: 'http://fleet.example' };

describe('O3: who may', () => {
  const faultsOf = (config: Record<string, string>) => {
    try {
      return accountsOf({ HOST: '127.0.0.1', ...config } as never).map(({ name, role }) => `${name} ${role}`);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return error.message.split('\n').slice(1);
    }
  };

  test.each<[string, Record<string, string>, (string | RegExp)[]]>([
    ['nobody, on loopback', {}, []],
    ['both', { ...WRITER, ...READER }, ['ops write', 'guest read']],
    ['both, where others reach it', { ...WRITER, ...READER, HOST: '0.0.0.0' }, ['ops write', 'guest read']],
    ['a reader alone, on loopback', READER, ['guest read']],
    ['a user without password', { DASHBOARD_USER: 'ops' }, [/DASHBOARD_PASSWORD is not set/]],
    ['a password without user', { DASHBOARD_PASSWORD: 'correct-horse' }, [/DASHBOARD_USER is not set/]],
    ['half a reader', { DASHBOARD_READER: 'x' }, [/DASHBOARD_READER_PASSWORD is not set/]],
    [
      'one name twice',
      { ...WRITER, ...READER, DASHBOARD_READER: 'ops' },
      [/DASHBOARD_READER has the same name/],
    ],
    ['every address, nobody', { HOST: '0.0.0.0' }, [/HOST.*"0\.0\.0\.0".*DASHBOARD_USER and DASHBOARD_PASS/]],
    ['every address, a reader alone', { ...READER, HOST: '::' }, [/HOST/]],
    ['a name that leads anywhere', { HOST: 'web.internal' }, [/HOST/]],
    [
      'two faults, two lines',
      { DASHBOARD_USER: 'ops', DASHBOARD_READER: 'x' },
      [/^ {2}DASHBOARD_PASSWORD/, /^ {2}DASHBOARD_READER_PASSWORD/],
    ],
  ])('%s', (_, config, expected) => {
    const found = faultsOf(config);
    expect(found).toHaveLength(expected.length);
    for (const [at, line] of expected.entries()) expect(found[at]).toMatch(line);
    expect(found.join()).not.toContain('correct-horse');
  });

  test('a web process that others could reach ends with 2 and says what to set', async () => {
    const env = {
      DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none',
      CREDENTIALS_KEY: Buffer.alloc(32, 7).toString('base64'),
      ORDERFLEET_HOME: '/nonexistent',
      ...{ HOST: '0.0.0.0', PORT: '0' },
    };
    const web = startProcess('workers/web.ts', { env });
    expect(await web.exited).toMatchObject({ code: 2 });
    expect(web.output()).toMatch(/HOST holds "0\.0\.0\.0".*DASHBOARD_USER and DASHBOARD_PASSWORD/);
    expect(web.output()).not.toMatch(/listening|unhandled|at .*\.js:/);
  });

  const KEYS = {
    DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none',
    CREDENTIALS_KEY: Buffer.alloc(32, 7).toString('base64'),
  };
  test.each([
    '10.0.0.0/33',
    '10.0.0.0/0',
    '10.0.0.0/8/8',
    '10.0.0',
    'proxy.internal',
    'fe80::1%eth0',
    '::/129',
  ])('O7: TRUSTED_PROXIES=%s ends the start with what is wanted', (wrong) => {
    const env = { ...KEYS, TRUSTED_PROXIES: `127.0.0.1, ${wrong}` };
    expect(() => parseConfig(env)).toThrow(
      `TRUSTED_PROXIES is "127.0.0.1, ${wrong}"; expected addresses or networks such as 10.1.2.3 and 10.1.0.0/16, separated by commas`,
    );
  });
  test('O7: TRUSTED_PROXIES are addresses and networks, and nobody by default', () => {
    const given = { TRUSTED_PROXIES: '127.0.0.1, 10.1.0.0/16,fd00::/8 ,::1' };
    expect(parseConfig({ ...KEYS, ...given }).TRUSTED_PROXIES).toEqual([
      ...['127.0.0.1', '10.1.0.0/16', 'fd00::/8', '::1'],
    ]);
    expect(parseConfig(KEYS).TRUSTED_PROXIES).toEqual([]);
  });

  test('loopback names', () => {
    for (const host of ['localhost', 'LOCALHOST', '127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])
      expect(isLoopback(host), host).toBe(true);
    for (const host of [
      '',
      '0.0.0.0',
      '::',
      '127.evil.example',
      'localhost.evil.example',
      '10.0.0.1',
      '1.127.0.0',
    ])
      expect(isLoopback(host), host).toBe(false);
  });
});

describe('O3: the way back after the login', () => {
  test.each([
    ['/orders?q=PO-1#top', '/orders?q=PO-1#top'],
    ['/queues/queue/awb-push', '/queues/queue/awb-push'],
    [undefined, '/'],
    ['', '/'],
    ['//evil.example', '/'],
    ['///evil.example', '/'],
    ['/\\evil.example', '/'],
    ['/\t/evil.example', '/'],
    ['/.//evil.example', '/'],
    ['\\\\evil.example', '/'],
    ['https://evil.example/', '/'],
    ['javascript:alert(1)', '/'],
    ['/login?next=/login', '/'],
    ['/logout', '/'],
  ])('%j leads to %j', (next, path) => expect(ownPath(next)).toBe(path));

  test('whatever is asked, it stays on this site', () => {
    const tricky = fc.array(
      fc.constantFrom('/', '\\', '.', '\t', '\n', '@', ':', '?', '#', '%2f', 'a', 'http:', ' '),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          tricky.map((parts) => `/${parts.join('')}`),
        ),
        (next) => {
          const path = ownPath(next);
          expect(new URL(path, 'https://fleet.example/login').origin).toBe('https://fleet.example');
          expect(path).toMatch(/^\/(?![/\\])/);
        },
      ),
    );
  });
});

describe('O3: wrong tries', () => {
  const rule = { free: 5, firstMs: 1_000, longestMs: 60_000, forgetMs: 3_600_000, size: 3 };

  test('five are free, then the wait doubles from a second to a minute', () => {
    const throttle = createThrottle(rule);
    let now = 0;
    const waits = Array.from({ length: 14 }, () => {
      throttle.failed('a', now);
      const wait = throttle.waitMs('a', now);
      now += wait;
      expect(throttle.waitMs('a', now)).toBe(0);
      if (wait > 0) expect(throttle.waitMs('a', now - 1)).toBe(1);
      return wait / 1000;
    });
    expect(waits).toEqual([0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    expect(throttle.waitMs('b', now)).toBe(0);
  });

  test('a success, or an hour without a wrong one, forgets them', () => {
    const throttle = createThrottle(rule);
    const fail = (times: number) => Array.from({ length: times }, () => throttle.failed('a', 0));
    fail(8);
    throttle.succeeded('a');
    fail(4);
    expect(throttle.waitMs('a', 0)).toBe(0);
    fail(5);
    expect(throttle.waitMs('a', 0)).toBe(16_000);
    throttle.failed('a', rule.forgetMs);
    expect(throttle.waitMs('a', rule.forgetMs)).toBe(0);
  });

  test('memory is bounded: who has been quiet for longest is forgotten first', () => {
    const throttle = createThrottle(rule);
    for (const key of ['a', 'b', 'c']) for (let turn = 0; turn < 5; turn++) throttle.failed(key, 0);
    throttle.failed('a', 0);
    throttle.failed('d', 0);
    expect(['a', 'b', 'c', 'd'].map((key) => throttle.waitMs(key, 0))).toEqual([2_000, 0, 1_000, 0]);
  });
});

describe('O3: the dashboard with users', () => {
  let stack: TestFleet;
  let now = Date.parse('2026-11-22T08:00:00Z');
  const clock = () => now;
  const appWith = (settings: Record<string, string | string[]> = {}): Hono =>
    createApp({ ...stack.fleet, clock, config: { ...stack.fleet.config, ...settings } });
  /** A socket's other end, as the node server hands it to the app. */
  const from = (remoteAddress: string) => ({ incoming: { socket: { remoteAddress } } });

  beforeAll(async () => {
    stack = await startTestFleet('postgres', NOWHERE, {
      ...{ ...WRITER, ...READER, HOST: '0.0.0.0' },
      ...{ PORT: '0', SHUTDOWN_GRACE: '1' },
    });
  });
  afterAll(async () => await stack?.close());

  const logIn = (
    app: Hono,
    user: string,
    password: string,
    { next = '/', headers = {}, address = '203.0.113.1' } = {},
  ) =>
    app.request(
      '/login',
      {
        method: 'POST',
        headers: { ...OWN, ...headers },
        body: new URLSearchParams({ user, password, next }),
      },
      from(address),
    );
  const cookieOf = (answer: Response) => answer.headers.get('set-cookie')?.split(';')[0] ?? '';
  const sessionOf = async (app: Hono, user = 'ops', password = 'correct-horse') =>
    cookieOf(await logIn(app, user, password));
  const status = async (app: Hono, path: string, headers: Record<string, string>, method = 'GET') =>
    (await app.request(path, { method, headers: { ...OWN, ...headers } })).status;

  test('a browser is led to the login and back; a program gets 401', async () => {
    const app = appWith();
    const page = await app.request('/queues/queue/awb-push?status=failed', { headers: { ...HOST, ...PAGE } });
    expect(page.status).toBe(303);
    const location = page.headers.get('location') ?? '';
    expect(location).toBe('/login?next=%2Fqueues%2Fqueue%2Fawb-push%3Fstatus%3Dfailed');
    const form = await (await app.request(location, { headers: { ...HOST, ...PAGE } })).text();
    expect(form).toContain('value="/queues/queue/awb-push?status=failed"');
    const back = await logIn(app, 'ops', 'correct-horse', { next: '/queues/queue/awb-push?status=failed' });
    expect([back.status, back.headers.get('location')]).toEqual([
      303,
      '/queues/queue/awb-push?status=failed',
    ]);
    for (const path of ['/queues/api/queues', '/data.json', '/elsewhere']) {
      const data = await app.request(path, { headers: HOST });
      expect(data.status, path).toBe(401);
      expect(await data.json()).toEqual({ error: expect.stringContaining('/login') });
    }
  });

  test('the session’s cookie: not for scripts, Lax, Secure behind https, for twelve hours', async () => {
    const app = appWith();
    const plain = (await logIn(app, 'ops', 'correct-horse')).headers.get('set-cookie');
    expect(plain).toMatch(/^orderfleet_session=\S+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Lax$/);
    const proxied = await logIn(app, 'ops', 'correct-horse', { headers: { 'x-forwarded-proto': 'https' } });
    expect(proxied.headers.get('set-cookie')).toMatch(/^__Host-orderfleet_session=\S+; .*Path=\/; .*Secure/);
    expect(proxied.headers.get('strict-transport-security')).toMatch(/^max-age=\d+$/);
    const https = { cookie: cookieOf(proxied), 'x-forwarded-proto': 'https' };
    expect(await status(app, '/queues', https)).toBe(200);
    // what another name of the domain can set is not taken for it
    expect(await status(app, '/queues', { ...https, cookie: https.cookie.replace('__Host-', '') })).toBe(303);
    const out = await app.request('/logout', { method: 'POST', headers: { ...OWN, ...https } });
    expect(out.headers.get('set-cookie')).toMatch(/^__Host-orderfleet_session=; Max-Age=0; .*Secure/);

    const cookie = await sessionOf(app);
    expect(await status(app, '/queues', { cookie })).toBe(200);
    now += 12 * 3600_000 - 1_000;
    expect(await status(app, '/queues', { cookie })).toBe(200);
    now += 1_000;
    expect(await status(app, '/queues', { cookie })).toBe(303);
  });

  test('another process and a restart know it; another password, role or key ends it', async () => {
    const cookie = await sessionOf(appWith());
    expect(await status(appWith(), '/queues', { cookie })).toBe(200);
    const ends: Record<string, string | Buffer>[] = [
      { DASHBOARD_PASSWORD: 'another-horse' },
      { DASHBOARD_USER: 'other' },
      { DASHBOARD_READER: 'ops', DASHBOARD_USER: 'x', DASHBOARD_READER_PASSWORD: 'correct-horse' },
      { CREDENTIALS_KEY: Buffer.alloc(32, 1) },
    ];
    for (const change of ends)
      expect(await status(appWith(change as never), '/queues', { cookie }), JSON.stringify(change)).toBe(303);
    const [name, value = ''] = cookie.split('=');
    const later = `${name}=${encodeURIComponent(decodeURIComponent(value).replace(/^\d/, '9'))}`;
    for (const forged of [later, `${name}=`, `${name}=${value.slice(0, -8)}`, `${name}=9999999999999`])
      expect(await status(appWith(), '/queues', { cookie: forged }), forged).toBe(303);
  });

  test('a wrong password ten times is slowed down, and the right one waits as well', async () => {
    const app = appWith();
    const answers: Response[] = [];
    for (let turn = 0; turn < 10; turn++) answers.push(await logIn(app, 'ops', `wrong-${turn}`));
    expect(answers.map((answer) => answer.status)).toEqual([
      401, 401, 401, 401, 401, 429, 429, 429, 429, 429,
    ]);
    const slow = answers[9] as Response;
    expect(slow.headers.get('retry-after')).toBe('1');
    expect(await slow.text()).toContain('Wait 1 second, then try again.');
    expect((await logIn(app, 'ops', 'correct-horse')).status).toBe(429);
    now += 1_000;
    expect((await logIn(app, 'ops', 'wrong')).status).toBe(401);
    expect((await logIn(app, 'ops', 'wrong')).headers.get('retry-after')).toBe('2');
    expect((await logIn(app, 'ops', 'correct-horse', { address: '203.0.113.9' })).status).toBe(303);
    now += 2_000;
    expect((await logIn(app, 'ops', 'correct-horse')).status).toBe(303);
    expect((await logIn(app, 'ops', 'wrong')).status).toBe(401);
  });

  test('a name that is tried from many addresses waits, too; those of one home’s IPv6 network are one', async () => {
    const app = appWith();
    for (let turn = 0; turn < 20; turn++)
      expect((await logIn(app, 'ops', 'wrong', { address: `203.0.113.${100 + turn}` })).status).toBe(401);
    expect((await logIn(app, 'ops', 'correct-horse', { address: '198.51.100.1' })).status).toBe(429);
    expect((await logIn(app, 'guest', 'battery-staple', { address: '198.51.100.1' })).status).toBe(303);

    const other = appWith();
    for (let turn = 0; turn < 5; turn++)
      await logIn(other, `name-${turn}`, 'wrong', { address: `2001:db8::${turn}` });
    const from = async (address: string) =>
      (await logIn(other, 'guest', 'battery-staple', { address })).status;
    expect(await from('2001:db8:0:0:ffff::1')).toBe(429);
    expect(await from('2001:db8:0:ff::1')).toBe(429);
    expect(await from('2001:db8:0:100::1')).toBe(303);
  });

  test('names that are nobody’s are counted as one: they push none of ours out of memory', async () => {
    const app = appWith();
    const from = (nth: number) => ({ address: `203.0.113.${nth}` });
    for (let nth = 0; nth < 20; nth++)
      expect((await logIn(app, `nobody-${nth}`, 'wrong', from(nth))).status).toBe(401);
    expect((await logIn(app, 'nobody-else', 'wrong', from(100))).status).toBe(429);
    expect((await logIn(app, 'ops', 'wrong', from(101))).status).toBe(401);
    expect((await logIn(app, 'ops', 'correct-horse', from(102))).status).toBe(303);
  });

  describe('X-Forwarded-For', () => {
    const via = (forwarded: string, address: string) => ({
      address,
      headers: { 'x-forwarded-for': forwarded },
    });
    /** Whether five wrong tries by some ways make a sixth by another one wait. */
    async function isOne(
      app: Hono,
      tries: (nth: number) => ReturnType<typeof via>,
      then: ReturnType<typeof via>,
    ) {
      for (let nth = 0; nth < 5; nth++) await logIn(app, `name-${nth}`, 'wrong', tries(nth));
      return (await logIn(app, 'guest', 'battery-staple', then)).status === 429;
    }
    const proxied = () => appWith({ TRUSTED_PROXIES: ['10.0.0.0/8', '2001:db8:1::1'] });

    test.each(['10.0.0.5', '127.0.0.1', '203.0.113.50'])(
      'of %s is not believed without TRUSTED_PROXIES',
      async (peer) => {
        expect(await isOne(appWith(), (nth) => via(`192.0.2.${nth}`, peer), via('192.0.2.99', peer))).toBe(
          true,
        );
      },
    );

    test.each<[string, (nth: number) => ReturnType<typeof via>, ReturnType<typeof via>, boolean]>([
      [
        'what comes before the proxy’s own entry is no matter',
        (nth) => via(`192.0.2.${nth}, 198.51.100.7`, '10.0.0.5'),
        via('198.51.100.7', '10.0.0.5'),
        true,
      ],
      [
        'another client is another one',
        () => via('198.51.100.7', '10.0.0.5'),
        via('198.51.100.8', '10.0.0.5'),
        false,
      ],
      [
        'through two proxies, by IPv4 and IPv6',
        (nth) => via(`192.0.2.${nth}, 198.51.100.7, 10.9.9.${nth}`, '2001:db8:1::1'),
        via('198.51.100.7', '::ffff:10.0.0.5'),
        true,
      ],
      [
        'a private address that is no proxy of ours says what it likes',
        (nth) => via(`192.0.2.${nth}`, '192.168.1.5'),
        via('192.0.2.99', '192.168.1.5'),
        true,
      ],
      [
        'an entry that is no address: then it is the proxy',
        (nth) => via(`192.0.2.${nth}, unknown`, '10.0.0.5'),
        via('', '10.0.0.5'),
        true,
      ],
      [
        'the port that some proxies write is no matter',
        (nth) => via(`198.51.100.7:${4000 + nth}`, '10.0.0.5'),
        via('198.51.100.7', '10.0.0.5'),
        true,
      ],
      [
        'of two clients with ports either is one',
        (nth) => via(`[2001:db8:2::7]:${4000 + nth}`, '10.0.0.5'),
        via('198.51.100.7:4000', '10.0.0.5'),
        false,
      ],
      [
        'a link-local address is one on any interface',
        () => via('', 'fe80::1%br-lan'),
        via('', 'fe80::2%eth0.100'),
        true,
      ],
      [
        'without an address it is nobody’s, whatever the header says',
        (nth) => via(`192.0.2.${nth}`, ''),
        via('192.0.2.99', ''),
        true,
      ],
    ])('with TRUSTED_PROXIES: %s', async (_, tries, then, one) => {
      expect(await isOne(proxied(), tries, then)).toBe(one);
    });

    test('R4: whatever the header says, it breaks nothing', async () => {
      const app = new Hono().get('/', (c) => c.text(addressReader(['10.0.0.0/8', 'fd00::/8'])(c)));
      const entry = fc.oneof(
        fc.ipV4(),
        fc.ipV6(),
        fc.ipV4Extended(),
        fc.constantFrom('10.0.0.1', 'fd00::1', '::ffff:10.0.0.1', '::ffff:192.0.2.1', 'fe80::1%eth0.1', ''),
        fc.string().map((text) => text.replace(/[^\x20-\x7e]/g, '')),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(entry), entry, async (entries, peer) => {
          const headers = { 'x-forwarded-for': entries.join(', ') };
          const answer = await app.request('/', { headers }, from(peer));
          expect(answer.status).toBe(200);
          expect(await answer.text()).toMatch(/^(unknown|[\d.]+|[\da-f:]+\/56)$/);
        }),
      );
    });
  });

  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  test.each<[string, (token: string) => [string, RequestInit], number]>([
    [
      '/events',
      (token) => ['/events/awb-created', { method: 'POST', headers: bearer(token), body: '{}' }],
      400,
    ],
    ['/metrics', (token) => ['/metrics', { headers: bearer(token) }], 200],
  ])('R5: wrong tokens at %s make their address wait, and the right one never', async (_, ask, right) => {
    const app = appWith({ EVENTS_TOKEN: 'a-token-of-the-test', METRICS_TOKEN: 'a-token-of-the-test' });
    const send = async (token: string, address = '203.0.113.1') =>
      await app.request(...ask(token), from(address));
    for (let nth = 0; nth < 10; nth++) expect((await send(`wrong-${nth}`)).status).toBe(401);
    const slow = await send('wrong');
    expect([slow.status, slow.headers.get('retry-after')]).toEqual([429, '1']);
    expect((await send('wrong', '203.0.113.2')).status).toBe(401);
    expect((await send('a-token-of-the-test')).status).toBe(right);
    now += 1_000;
    expect((await send('wrong')).status).toBe(401);
    expect((await send('wrong')).headers.get('retry-after')).toBe('2');
  });
  test('R4: a form without its boundary is 400', async () => {
    const headers = { ...OWN, 'content-type': 'multipart/form-data' };
    const answer = await appWith().request('/login', { method: 'POST', headers, body: 'user=ops' });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain('user and password');
  });

  test('R5: passwords, right or wrong, are in no log and no page', async () => {
    const app = appWith();
    const wrong = await logIn(app, 'secret-in-the-wrong-field', 'also-secret');
    expect(await wrong.text()).not.toContain('also-secret');
    expect(stack.logged()).toMatch(/"user":"unknown".*login refused/);
    for (const secret of ['correct-horse', 'battery-staple', 'also-secret', 'secret-in-the-wrong-field'])
      expect(stack.logged()).not.toContain(secret);
  });

  test('the log out is a POST, and takes the cookie away', async () => {
    const app = appWith();
    const cookie = await sessionOf(app);
    expect(await status(app, '/logout', { cookie })).not.toBe(303);
    const out = await app.request('/logout', { method: 'POST', headers: { ...OWN, cookie } });
    expect([out.status, out.headers.get('location')]).toEqual([303, '/login']);
    expect(out.headers.get('set-cookie')).toMatch(/^orderfleet_session=; Max-Age=0/);
  });

  test.each<[string, Record<string, string>, number]>([
    ['our own page, by Sec-Fetch-Site', { 'sec-fetch-site': 'same-origin', origin: '' }, 404],
    ['our own page, by Origin', { origin: 'http://fleet.example' }, 404],
    ['our own page, behind a proxy that ends https', { origin: 'https://fleet.example' }, 404],
    ['another site', { 'sec-fetch-site': 'cross-site' }, 403],
    [
      'another site that claims our origin',
      { 'sec-fetch-site': 'cross-site', origin: 'http://fleet.example' },
      403,
    ],
    ['another name of our domain', { 'sec-fetch-site': 'same-site' }, 403],
    ['another site, by Origin', { origin: 'https://evil.example' }, 403],
    ['another port', { origin: 'http://fleet.example:81' }, 403],
    ['a sandboxed frame', { origin: 'null' }, 403],
    ['nobody knows', { origin: '' }, 403],
  ])('CSRF: what changes something, from %s', async (_, headers, expected) => {
    const app = appWith();
    const cookie = await sessionOf(app);
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
      for (const type of ['application/json', 'application/x-www-form-urlencoded'])
        expect(
          await status(app, '/queues/nothing', { cookie, 'content-type': type, ...headers }, method),
          method,
        ).toBe(expected);
    if (expected === 403) expect((await logIn(app, 'ops', 'correct-horse', { headers })).status).toBe(403);
  });

  test('a reader may look and change nothing, wherever', async () => {
    const app = appWith();
    const cookie = await sessionOf(app, 'guest', 'battery-staple');
    expect(await status(app, '/queues', { cookie })).toBe(200);
    for (const path of [
      '/queues/api/queues/pause',
      '/queues/api/queues/awb-push/pause',
      '/orders/x',
      '/elsewhere',
    ])
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
        expect(await status(app, path, { cookie }, method), `${method} ${path}`).toBe(403);
  });

  test('headers: nothing from elsewhere, nothing inline, nobody frames it, nothing is kept', async () => {
    const app = appWith();
    const cookie = await sessionOf(app);
    const page = await app.request('/login', { headers: { ...HOST, ...PAGE } });
    expect(page.headers.get('content-security-policy')).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    );
    for (const path of ['/login', '/queues', '/queues/api/queues', '/elsewhere']) {
      const { headers } = await app.request(path, { headers: { ...OWN, cookie } });
      expect(headers.get('cache-control'), path).toBe('no-store');
      expect(headers.get('content-security-policy'), path).toMatch(
        /script-src 'self';.*frame-ancestors 'none'/,
      );
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('same-origin');
      expect(headers.get('strict-transport-security')).toBeNull();
    }
  });

  test('R5: more than a megabyte is taken nowhere', async () => {
    const app = appWith();
    const body = new URLSearchParams({ user: 'ops', password: 'x'.repeat(1024 * 1024) });
    const answer = await app.request('/login', { method: 'POST', headers: OWN, body });
    expect(answer.status).toBe(413);
  });

  test('what has secrets of its own needs no session, and no page of ours', async () => {
    const app = appWith({ EVENTS_TOKEN: 'a-token-of-the-test' });
    const headers = {
      ...HOST,
      origin: 'https://shipping.example',
      authorization: 'Bearer a-token-of-the-test',
    };
    const event = await app.request('/events/awb-created', { method: 'POST', headers, body: '{}' });
    expect([event.status, await event.json()]).toEqual([
      400,
      { error: expect.stringContaining('awbNumber') },
    ]);
  });

  test('O2: it stops in time, also while somebody holds a connection or never ends a request', async () => {
    const { fleet } = stack;
    const stop = await serveWeb({ ...fleet, config: { ...fleet.config, HOST: '127.0.0.1' } }).start();
    const port = Number(/"port":(\d+),"msg":"listening"/.exec(stack.logged())?.[1]);
    const clients = ['GET /login HTTP/1.1\r\nHost: a\r\n\r\n', 'POST /login HTTP/1.1\r\nHost: a\r\n'].map(
      (text) => {
        const client = connect(port, '127.0.0.1', () => client.write(text));
        return client.on('error', () => undefined);
      },
    );
    await new Promise((resolve) => clients[0]?.once('data', resolve));
    const startedAt = performance.now();
    await stop();
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    for (const client of clients) client.destroy();
  });

  test('without users: open on this machine, by its own names alone (DNS rebinding)', async () => {
    const nobody = { DASHBOARD_USER: undefined, DASHBOARD_READER: undefined } as never;
    const noPasswords = { DASHBOARD_PASSWORD: undefined, DASHBOARD_READER_PASSWORD: undefined } as never;
    const app = appWith({ ...(nobody as object), ...(noPasswords as object), HOST: '127.0.0.1' });
    for (const host of ['localhost:8080', '127.0.0.1:8080', '[::1]:8080', 'localhost'])
      expect(await status(app, '/queues', { host }), host).toBe(200);
    for (const host of ['fleet.example', 'localhost.evil.example:8080', '127.0.0.1.evil.example', '']) {
      const answer = await app.request('/queues', { headers: { ...PAGE, host } });
      expect(answer.status, host).toBe(421);
      expect(await answer.text()).toContain('DASHBOARD_USER and DASHBOARD_PASSWORD');
    }
    // a proxy beside it comes by that name as well, and brings anybody
    for (const mark of [
      'forwarded',
      'via',
      'x-forwarded-for',
      'x-forwarded-host',
      'x-forwarded-proto',
      'x-real-ip',
    ])
      for (const method of ['GET', 'POST'])
        expect(
          await status(
            app,
            '/queues',
            { host: 'localhost', origin: 'http://localhost', [mark]: 'x' },
            method,
          ),
          mark,
        ).toBe(421);
    const login = await app.request('/login', { headers: { ...PAGE, host: 'localhost' } });
    expect([login.status, login.headers.get('location')]).toEqual([303, '/']);
  });
});
