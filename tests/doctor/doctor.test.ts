import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';
import { alertHandlers, alertTasks } from '../../src/alerts/index.ts';
import { addEndpoint } from '../../src/alerts/webhooks/endpoints.ts';
import { parseConfig } from '../../src/config/index.ts';
import { migrate } from '../../src/db/migrate.ts';
import { runDoctor } from '../../src/doctor/index.ts';
import { type Fleet, openFleet } from '../../src/fleet/index.ts';
import { createLog } from '../../src/lib/log.ts';
import { migrateQueues } from '../../src/queue/backend.ts';
import { maintenance, maintenanceHandler, schedulesOf } from '../../src/queue/maintenance.ts';
import { type RunningWorkers, runWorkers } from '../../src/queue/run.ts';
import { reconcileSchedules } from '../../src/queue/schedules.ts';
import { awbHandlers } from '../../src/temu/awb/index.ts';
import { orderHandlers } from '../../src/temu/orders/index.ts';
import { reconcileTrackers, tokenContext, trackingHandlers } from '../../src/tracking/index.ts';
import { orderfleet } from '../cli/orderfleet.ts';
import { createEmptyDatabase } from '../support/database.ts';
import { addShopAsStore, startTestFleet, type TestFleet } from '../support/fleet.ts';
import { oneBackend, ownRedisServer } from '../support/redis.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { freePort, until } from '../support/until.ts';

/** Findings that are not well, as one line each: the check, what it says, the remedy. */
async function findings(fleet: Fleet): Promise<string[]> {
  const { checks } = await runDoctor(fleet, 8_000);
  return checks.flatMap(({ name, findings }) =>
    findings
      .filter(({ verdict }) => verdict !== 'ok')
      .map(({ verdict, says, remedy }) => `${verdict} · ${name} · ${says} → ${remedy}`),
  );
}

const MINUTE = 60_000;
const shop = (name: string) => ({
  ...{ name, appKey: `key-${name}`, appSecret: 'secret', accessToken: `token-${name}` },
  ...{ region: 'EU' as const, country: 'DE' },
});

describe.each(oneBackend())('a whole fleet, with queues on %s', (backend) => {
  let sandbox: Sandbox;
  let redis: RedisServer | undefined;
  let stack: TestFleet;
  let fleet: Fleet;
  let workers: RunningWorkers[];
  const sql = () => stack.sql;

  beforeAll(async () => {
    sandbox = await startSandbox({ smtp: true });
    redis = backend === 'redis' ? await ownRedisServer() : undefined;
    if (redis) await redisSetting('appendonly', 'yes');
    stack = await startTestFleet(backend, sandbox.routers, {
      ...sandbox.env(),
      ALERTS_SLACK_CHANNEL_ID: 'C0ALERTS',
      ...(redis ? { REDIS_URL: redis.url } : {}),
    });
    fleet = stack.fleet;
    for (const name of ['well', 'ill', 'paused']) {
      sandbox.world.addShop(shop(name));
      await addShopAsStore(stack, shop(name));
    }
    await sql()`update temu_stores set last_synced_at = now()`;
    await reconcileTrackers(fleet, undefined);
    const tasks = alertTasks(fleet);
    await reconcileSchedules(fleet.queues, maintenance, schedulesOf(tasks), fleet.log);
    const tracking = runWorkers(trackingHandlers(fleet), fleet);
    const others = [...orderHandlers(fleet), ...awbHandlers(fleet), ...alertHandlers(fleet)];
    workers = [tracking, runWorkers([...others, maintenanceHandler(tasks)], fleet)];
    await until(async () => (await fleet.queues.workers({ name: 'maintenance' })) === 1);
    await until(async () => (await fleet.queues.workers({ name: 'tracking-velocity' })) === 1);
  });
  afterAll(async () => {
    await Promise.all(workers.map((running) => running.stop(0)));
    await stack?.close();
    await sandbox?.close();
    await redis?.stop();
  });
  afterEach(() => {
    sandbox.world.clock.offsetMs = 0;
  });

  async function redisSetting(name: string, value: string) {
    const client = new Redis((redis as RedisServer).url);
    await client.config('SET', name, value);
    client.disconnect();
  }

  test('O6: is well, and nothing is changed by looking', async () => {
    const sum = () => sql()`select (select sum(hashtext(s::text)) from temu_stores s) as stores,
      (select count(*) from notices) as notices, (select count(*) from tracking_runs) as runs`;
    const before = await sum();
    expect(await findings(fleet)).toEqual([]);
    expect(await sum()).toEqual(before);
    // a login brings an account nearer to its lock
    for (const api of ['delhivery-b2b', 'shiprocket', 'velocity'] as const)
      expect(sandbox.couriers.api[api].ledger.summary().requests ?? 0).toBe(0);
    expect(sandbox.slack.messages.list()).toEqual([]);
    expect(sandbox.smtp?.mails.list()).toEqual([]);
  });

  test('O6: each ill is named with its remedy', async () => {
    const NAMED: RegExp[] = [];
    const ill = (pattern: RegExp) => void NAMED.push(pattern);

    // our clock against Postgres, and Temu's against ours
    const skewed = { ...fleet, clock: () => Date.now() + 40_000 };
    sandbox.world.clock.offsetMs = -10 * MINUTE;
    ill(/^fault · Postgres · The clock of Postgres is 40 s behind ours → .*NTP/);
    for (const region of ['EU', 'US', 'GLOBAL'])
      ill(
        new RegExp(
          `^fault · Clocks of the APIs · The clock of Temu \\(${region}\\) is 6\\d\\d s behind ours → .*NTP`,
        ),
      );
    // nobody tracks, and a schedule has stopped
    await workers[0]?.stop(0);
    await until(async () => (await fleet.queues.workers({ name: 'tracking-velocity' })) === 0);
    ill(
      /^fault · Queues · No "tracking" worker is running for .*tracking-delhivery-b2b, .*tracking-velocity.* → .*npm run worker -- tracking/,
    );
    await fleet.queues.raw('notices').add('notices', { broken: true }, { jobId: 'broken' });
    await until(async () => (await fleet.queues.counts({ name: 'notices' })).failed === 1);
    ill(/^warning · Queues · 1 failed job in notices → .*\/queues\/queue\/notices\?status=failed/);
    await fleet.queues.raw('temu-pages').pause();
    ill(
      /^warning · Queues · temu-pages is paused, with \d+ jobs? waiting → resume it at .*\/queues\/queue\/temu-pages/,
    );
    // stores
    sandbox.world.setCredentialsRevoked('ill', true);
    ill(
      /^fault · Credentials of the stores · Temu rejects "ill" \(3000034: .* → .*orderfleet store rotate "ill" --access-token/,
    );
    await sql()`update temu_stores set active = false, paused_by = 'temu',
      paused_reason = 'Temu refused the store (3000031: no such token); copy it anew' where name = 'paused'`;
    ill(
      /^fault · Stores · "paused" is paused because Temu rejects it → Temu refused the store \(3000031: no such token\); copy it anew$/,
    );
    await sql()`update temu_stores set last_synced_at = now() - interval '20 minutes' where name = 'well'`;
    ill(/^fault · Stores · "well" was last synced 2\d minutes ago, and no sync is running → .*-- scheduler/);
    await sql()`insert into temu_api_pauses (store_id, api, reason, retry_at)
      select id, 'orderAmount', 'no scope', now() from temu_stores where name = 'ill'`;
    ill(/^fault · Stores · "ill" has no access to orderAmount on Temu: no scope → .*orderfleet store rotate/);
    await sql()`insert into temu_order_inbox (store_id, parent_order_sn, update_time, payload, state, due_at)
      select id, 'PO-1', now(), '{}', 'pending', now() - interval '1 hour' from temu_stores where name = 'well'`;
    ill(
      /^warning · Queues · The oldest work of temu-orders is overdue by 6\d minutes → .*: orderfleet status;/,
    );
    // trackers
    const inHours = (hours: number) => new Date(Date.now() + hours * 60 * MINUTE);
    await sql()`update trackers set stopped_at = now(), stopped_reason = 'HTTP 401' where name = 'shiprocket'`;
    ill(/^fault · Trackers · shiprocket is stopped.*HTTP 401 → set SHIPROCKET_EMAIL, SHIPROCKET_PASSWORD/);
    await sql()`update trackers set waiting_until = ${inHours(1)}, waiting_reason = 'HTTP 429' where name = 'delhivery-b2c'`;
    ill(/^warning · Trackers · delhivery-b2c is paused until .*: HTTP 429 → .*DELHIVERY_B2C_LIMIT/);
    await sql()`update trackers set token = ${fleet.secrets.encrypt('t', tokenContext('velocity'))},
      token_expires_at = ${inHours(-2)}, next_run_at = ${inHours(1)} where name = 'velocity'`;
    ill(/^warning · Trackers · The token of velocity expired 12\d minutes ago.* → /);
    await sql()`update trackers set next_run_at = ${inHours(-1)} where name = 'delhivery-b2b'`;
    ill(/^fault · Trackers · delhivery-b2b is overdue by 6\d minutes → .*-- scheduler/);
    // messages
    sandbox.slack.settings.token = 'another';
    ill(/^fault · Messages · Slack: .*invalid_auth.* → set SLACK_TOKEN/);
    sandbox.smtp?.trouble({ at: 'auth', code: 535, message: 'no' });
    ill(/^fault · Messages · Mail: 127\.0\.0\.1 rejects the login: .* → correct SMTP_URL/);
    const { id } = await addEndpoint(fleet.db, fleet.secrets, 'https://crm.example/hook', ['order.rto']);
    await sql()`update webhook_endpoints set active = false`;
    await sql()`insert into notices (kind, key, payload, state, error)
      values ('order.rto', 'x', ${sql().json({ endpointId: id })}, 'failed', 'HTTP 500')`;
    ill(
      /^warning · Webhooks · .*crm\.example\/hook is stopped.* → orderfleet webhooks resume https:\/\/crm\.example\/hook/,
    );
    ill(/^warning · Webhooks · 1 delivery to .*HTTP 500 → .*orderfleet webhooks retry/);
    // a key that is gone, one that is new
    const { CREDENTIALS_KEY } = fleet.config;
    const other = openFleet(
      parseConfig({ ...stack.env, CREDENTIALS_KEY: randomBytes(32).toString('base64') }),
      'test',
      { log: createLog({ level: 'silent', name: 'test' }) },
    );
    const wrongKey = await findings(other);
    expect(wrongKey).toContainEqual(
      expect.stringMatching(
        /^fault · Encrypted secrets · temu_stores\.app_secret of .* was encrypted with key [0-9a-f]{8}.* → add the key .*CREDENTIALS_KEYS_OLD.*orderfleet store rotate "ill"/,
      ),
    );
    expect(wrongKey).toContainEqual(
      expect.stringMatching(/^fault · Encrypted secrets · webhook_endpoints\.secret/),
    );
    expect(wrongKey).toContainEqual(
      expect.stringMatching(/^warning · Encrypted secrets · trackers\.token of velocity.* → no action if/),
    );
    await other.close();
    const renewed = openFleet(
      parseConfig({
        ...stack.env,
        ...{ HOST: '0.0.0.0', CREDENTIALS_KEY: randomBytes(32).toString('base64') },
        CREDENTIALS_KEYS_OLD: CREDENTIALS_KEY.toString('base64'),
      }),
      'test',
      { log: createLog({ level: 'silent', name: 'test' }) },
    );
    const opened = await findings(renewed);
    expect(opened).toContainEqual(
      expect.stringMatching(
        /^warning · Encrypted secrets · .*"ill" are encrypted with an old key → orderfleet store rotate/,
      ),
    );
    expect(opened).toContainEqual(
      expect.stringMatching(
        /^warning · Encrypted secrets · The secret of https:\/\/crm\.example\/hook is encrypted with an old key → orderfleet webhooks reseal https:\/\/crm/,
      ),
    );
    expect(opened).toContainEqual(
      expect.stringMatching(/^fault · Dashboard · .* → set DASHBOARD_USER and DASHBOARD_PASSWORD/),
    );
    expect(opened).toContainEqual(expect.stringMatching(/^warning · Dashboard · .* → set METRICS_TOKEN/));
    await renewed.close();

    if (redis) {
      await redisSetting('maxmemory-policy', 'allkeys-lru');
      await redisSetting('appendonly', 'no');
      ill(/^fault · Redis · .*allkeys-lru.* → redis-cli CONFIG SET maxmemory-policy noeviction/);
      ill(/^warning · Redis · .*append-only file.* → redis-cli CONFIG SET appendonly yes/);
    }
    const found = await findings(skewed);
    if (redis) await redisSetting('maxmemory-policy', 'noeviction');
    for (const pattern of NAMED) expect(found).toContainEqual(expect.stringMatching(pattern));
    // a remedy for each, and no secret in any
    for (const line of found) expect(line).not.toMatch(/→ (null)?$/);
    for (const secret of ['token-ill', 'secret"', 'demo-smtp-password', String(sandbox.env().SLACK_TOKEN)])
      expect(found.join('\n')).not.toContain(secret);
  });

  test('O6: a Postgres that takes no writes is a fault, though it answers', async () => {
    const name = new URL(stack.env.DATABASE_URL ?? '').pathname.slice(1);
    await sql().unsafe(`alter database ${name} set default_transaction_read_only = on`);
    const own = openFleet(parseConfig(stack.env), 'test', {
      log: createLog({ level: 'silent', name: 'test' }),
    });
    expect(await findings(own)).toContainEqual(
      expect.stringMatching(
        /^fault · Postgres · does not accept writes: .*read-only transaction → point DATABASE_URL/,
      ),
    );
    expect((await own.probes.readyz()).checks).toMatchObject({ postgres: 'not usable' });
    await own.close();
    await sql().unsafe(`alter database ${name} reset default_transaction_read_only`);
  });

  test('O6: a courier whose clock differs is named', async () => {
    const courier = createServer((_, response) => {
      response.setHeader('date', new Date(Date.now() + 5 * MINUTE).toUTCString());
      response.end();
    });
    await new Promise<void>((resolve) => courier.listen(0, '127.0.0.1', resolve));
    const { port } = courier.address() as AddressInfo;
    const own = openFleet(
      parseConfig({ ...stack.env, SHIPROCKET_URL: `http://127.0.0.1:${port}/v1/external` }),
      'test',
      { log: createLog({ level: 'silent', name: 'test' }) },
    );
    expect(await findings(own)).toContainEqual(
      expect.stringMatching(
        /^fault · Clocks of the APIs · The clock of Shiprocket is (299|30\d) s ahead of ours → .*NTP/,
      ),
    );
    await own.close();
    await new Promise((resolve) => courier.close(resolve));
  });

  test('O6: a Redis whose user may not do what BullMQ does is a fault, and its memory is watched', async () => {
    if (!redis) return expect(backend).toBe('postgres');
    const client = new Redis(redis.url);
    await client.call('ACL', 'SETUSER', 'watcher', 'on', '>pass', '~*', '&*', '+@all', '-info');
    await client.config('SET', 'maxmemory', '2mb');
    client.disconnect();
    const url = new URL(redis.url);
    url.username = 'watcher';
    url.password = 'pass';
    const closed = openFleet(parseConfig({ ...stack.env, REDIS_URL: url.href }), 'test', {
      log: createLog({ level: 'silent', name: 'test' }),
    });
    expect(await findings(closed)).toContainEqual(
      expect.stringMatching(
        /^fault · Redis · does not accept jobs: NOPERM.*info.* → grant the user of REDIS_URL .*INFO/,
      ),
    );
    await closed.close();
    expect(await findings(fleet)).toContainEqual(
      expect.stringMatching(/^fault · Redis · \d MB of maxmemory 2 MB are used.* → raise maxmemory/),
    );
    await redisSetting('maxmemory', '1');
    expect(await findings(fleet)).toContainEqual(
      expect.stringMatching(/^fault · Redis · does not accept jobs: .*OOM.* → raise maxmemory/),
    );
    await redisSetting('maxmemory', '0');
  });
});

describe('a broken environment', () => {
  const open = (env: Record<string, string>) =>
    openFleet(
      parseConfig({
        ...{ CREDENTIALS_KEY: randomBytes(32).toString('base64') },
        ...{ TEMU_EU_URL: 'http://127.0.0.1:9/', TEMU_US_URL: 'http://127.0.0.1:9/' },
        TEMU_GLOBAL_URL: 'http://127.0.0.1:9/',
        ...env,
      }),
      'test',
      { log: createLog({ level: 'silent', name: 'test' }) },
    );

  test('Postgres and Redis away: both are reported, what needs neither is checked all the same', async () => {
    const port = await freePort();
    const fleet = open({
      DATABASE_URL: `postgres://u:p@127.0.0.1:${port}/none`,
      REDIS_URL: `redis://127.0.0.1:${port}`,
      HOST: '0.0.0.0',
    });
    const found = await findings(fleet);
    expect(found).toContainEqual(
      expect.stringMatching(/^fault · Postgres · .*ECONNREFUSED.* → .*DATABASE_URL/),
    );
    expect(found).toContainEqual(expect.stringMatching(/^fault · Redis · .*ECONNREFUSED.* → .*REDIS_URL/));
    expect(found).toContain('unknown · Queues · skipped: Postgres does not answer → null');
    expect(found).toContainEqual(
      expect.stringMatching(/^warning · Clocks of the APIs · Temu \(EU\) does not answer/),
    );
    expect(found).toContainEqual(expect.stringMatching(/^fault · Dashboard/));
    await fleet.close();
  });

  test('no tables yet; then tables of a newer version', async () => {
    const database = await createEmptyDatabase();
    const fleet = open({ DATABASE_URL: database.url });
    expect(await findings(fleet)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(
          /^fault · Migrations · \d+ of \d+ migrations not applied.* → orderfleet migrate$/,
        ),
        expect.stringMatching(
          /^fault · Migrations · The queue schema bullmq is missing → orderfleet migrate$/,
        ),
        expect.stringMatching(/^unknown · Stores · could not be checked: relation/),
      ]),
    );
    await fleet.close();

    // and the command itself, once
    const env = {
      ...{ DATABASE_URL: database.url, CREDENTIALS_KEY: randomBytes(32).toString('base64') },
      ...{ TEMU_EU_URL: 'http://127.0.0.1:9/', TEMU_US_URL: 'http://127.0.0.1:9/' },
      ...{ TEMU_GLOBAL_URL: 'http://127.0.0.1:9/', ORDERFLEET_HOME: '/nonexistent' },
    };
    await migrate(database.url);
    await migrateQueues(database.url);
    await database.sql`
      insert into drizzle.__drizzle_migrations (hash, created_at) values ('of tomorrow', ${Date.now() + 86_400_000})`;
    const told = await orderfleet(['doctor', '--json'], env);
    expect(told.code).toBe(1);
    const { verdict, checks } = JSON.parse(told.stdout) as Awaited<ReturnType<typeof runDoctor>>;
    expect(verdict).toBe('fault');
    expect(checks.find(({ name }) => name === 'Migrations')).toMatchObject({
      verdict: 'warning',
      findings: [{ says: expect.stringContaining('1 migration unknown to this version') }],
    });
    expect(checks.find(({ name }) => name === 'Queues')?.findings[0]?.remedy).toContain('npm run worker -- ');
    await database.drop();
  });
});
