import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CourierOptions } from '../../sandbox/couriers/couriers.ts';
import { parseConfig } from '../../src/config/index.ts';
import { createSecrets } from '../../src/db/secrets.ts';
import { type RunningWorkers, runWorkers } from '../../src/queue/run.ts';
import {
  createTrackers,
  reconcileTrackers,
  trackingHandlers,
  trackingSettings,
} from '../../src/tracking/index.ts';
import { startTrackingStand, type TrackingStand } from '../support/tracking.ts';
import { until } from '../support/until.ts';

/** C11: a token for the whole fleet, fetched once; a login that is refused is not tried again and again. */
type Api = 'delhivery-b2b' | 'shiprocket' | 'velocity';

/** One for all tests of a group, each at another courier's or from where the one before it left off. */
let stand: TrackingStand;
function standOf(options: CourierOptions = {}, settings: Record<string, string> = {}): void {
  beforeAll(async () => {
    stand = await startTrackingStand('postgres', options, settings);
  });
  afterAll(() => stand?.close());
}

async function parcels(api: Api, count: number): Promise<void> {
  const { parcels } = stand.sandbox.couriers;
  await stand.book(parcels.addMany({ api, count, mix: { ndr: 1 }, days: 0.5, seed: parcels.size() }));
}
const desk = (api: Api) => stand.sandbox.couriers.api[api];
const logins = (api: Api) => desk(api).ledger.entries({ kind: 'login' });
const refused = (api: Api) => desk(api).ledger.entries({ kind: 'track', outcome: 'unauthorized' }).length;
async function trackerRow(api: Api) {
  const [row] = await stand.stack.sql`select * from trackers where name = ${api}`;
  return row ?? {};
}
const alerts = (api: string) =>
  stand.stack.sql<{ state: string; payload: { tracker: string; text: string } }[]>`
    select state, payload from notices where kind = 'tracker-stopped' and payload->>'tracker' = ${api}`;

describe('one token for all', () => {
  standOf({ 'delhivery-b2b': { latencyMs: 10 }, shiprocket: { latencyMs: 20 }, velocity: { latencyMs: 20 } });
  beforeAll(() => {
    stand.work();
    stand.work();
  });

  test.each<Api>(['delhivery-b2b', 'shiprocket', 'velocity'])(
    'of %s, kept encrypted; refused with 401: renewed once, all batches are asked again',
    async (api) => {
      await parcels(api, api === 'delhivery-b2b' ? 12 : 110);
      await stand.run(api);
      const account = desk(api).account;
      const { token } = await trackerRow(api);
      const { length } = account?.issue() ?? '';
      expect(token).toEqual(expect.any(String));
      expect(token).not.toContain('eyJ');
      const plain = stand.deps.secrets.decrypt(token as string, `trackers.token of ${api}`);
      expect(plain.length).toBe(length);

      expect(refused(api)).toBe(0);
      account?.revoke();
      stand.advance(60_000);
      const run = await stand.run(api);
      expect(run).toMatchObject({ failed: 0, waits: 0 });
      expect(run.updated + run.unchanged).toBe(run.planned);
      expect(refused(api)).toBeGreaterThan(0);
      expect(logins(api)).toHaveLength(2);
      expect(await alerts(api)).toEqual([]);
      // neither it nor a password is in any log
      expect(stand.stack.logged()).not.toContain(plain);
      expect(stand.stack.logged()).not.toContain(account?.settings.password);
    },
  );

  test('R5: a token that was sealed with a key that is gone is no token: another one is fetched', async () => {
    const api = 'velocity';
    const other = createSecrets([randomBytes(32)]);
    const before = logins(api).length;
    await stand.stack.sql`
      update trackers set token = ${other.encrypt('of old', `trackers.token of ${api}`)} where name = ${api}`;
    stand.advance(60_000);
    expect(await stand.run(api)).toMatchObject({ failed: 0, waits: 0 });
    expect(logins(api)).toHaveLength(before + 1);
  });

  test('a fresh token that is refused, too, stops the tracker after one login', async () => {
    const api = 'shiprocket';
    stand.advance(60_000);
    desk(api).faults.add({ on: 'track', do: { kind: 'unauthorized' } });
    const run = await stand.run(api);
    expect(run).toMatchObject({ planned: 110, updated: 0, failed: run.planned });
    expect(logins(api)).toHaveLength(3);
    expect(await alerts(api)).toHaveLength(1);
  });
});

describe('one token for two workers', () => {
  const api = 'delhivery-b2b';
  standOf({ [api]: { latencyMs: 10 } });
  beforeAll(() => {
    stand.work();
    stand.work();
  });

  test('without one they log in once; refused within 30 seconds of its renewal: the batches wait that long, and nobody logs in before', async () => {
    await parcels(api, 8);
    await stand.run(api);
    expect(logins(api)).toHaveLength(1);
    desk(api).account?.revoke();
    await stand.start(api);
    const sql = stand.stack.sql;
    const waiting = await until(async () => {
      const rows = await sql<{ s: number }[]>`
        select extract(epoch from due_at - now())::float as s from tracking_batches
        where state = 'pending' and attempts = 0 and due_at > now()`;
      // who came while another looked was back in a second
      return rows.length === 8 && rows.every(({ s }) => s > 5) && rows;
    });
    for (const { s } of waiting) expect(s).toSatisfy((s: number) => s > 15 && s <= 30);
    expect(logins(api)).toHaveLength(1);
    await stand.later(31_000);
    expect(await stand.ended(api)).toMatchObject({ failed: 0 });
    expect(logins(api)).toHaveLength(2);
  });

  test('when it is about to expire, they log in once again', async () => {
    desk(api).ledger.reset();
    // a day is its life, two hours before its end it is renewed
    stand.advance(21.9 * 3_600_000);
    await stand.run(api);
    expect(logins(api)).toHaveLength(0);
    stand.advance(0.2 * 3_600_000);
    const run = await stand.run(api);
    expect(run).toMatchObject({ planned: 8, failed: 0, requests: run.planned });
    expect(logins(api)).toHaveLength(1);
  });
});

describe('a login that is refused', () => {
  standOf();
  let workers: RunningWorkers[];
  beforeAll(() => {
    workers = [stand.work(), stand.work()];
  });

  test.each<Api>(['delhivery-b2b', 'velocity', 'shiprocket'])(
    'by %s: one try, one alert, the run ends with numbers that add up, the tracker says why',
    async (api) => {
      const account = desk(api).account;
      if (account) account.settings.password = 'changed over there';
      await parcels(api, api === 'delhivery-b2b' ? 20 : 110);
      const run = await stand.run(api);
      expect(run).toMatchObject({ state: 'finished', updated: 0, failed: run.planned, requests: 0 });
      expect(Object.values(run.errors)).toEqual([run.planned]);
      expect(logins(api)).toHaveLength(1);
      expect(account?.locked()).toBe(api === 'delhivery-b2b');
      const row = await trackerRow(api);
      expect(row.stopped_reason).toMatch(/rejected the login/);
      expect(row.next_run_at.getTime() - stand.now()).toBeGreaterThan(50 * 60_000);
      expect(await alerts(api)).toMatchObject([{ payload: { text: expect.stringContaining('PASSWORD') } }]);
      // a new try, by hand or an hour later, is one login, and no second alert
      const again = await stand.run(api);
      expect(again.failed).toBe(again.planned);
      expect(logins(api)).toHaveLength(2);
      expect(await alerts(api)).toHaveLength(1);
      // a scheduler that starts again is no new try
      await reconcileTrackers(stand.deps, undefined);
      expect((await trackerRow(api)).next_run_at).toSatisfy(
        (at: Date) => at.getTime() > stand.now() + 60_000,
      );
    },
  );

  test('other credentials: the tracker resumes at once, and the alert is withdrawn', async () => {
    const api = 'shiprocket';
    expect((await trackerRow(api)).stopped_reason).not.toBeNull();
    await Promise.all(workers.map((running) => running.stop(100)));

    const config = parseConfig(
      { ...stand.stack.env, SHIPROCKET_PASSWORD: 'changed over there' },
      trackingSettings,
    );
    const deps = { ...stand.deps, trackers: createTrackers(config) };
    await reconcileTrackers(deps, undefined);
    const row = await trackerRow(api);
    expect([row.stopped_reason, row.next_run_at.getTime() <= stand.now()]).toEqual([null, true]);
    const running = runWorkers(trackingHandlers(deps), deps);
    try {
      expect(await stand.run(api)).toMatchObject({ failed: 0, planned: 110 });
      expect((await alerts(api)).map(({ state }) => state)).toEqual(['withdrawn']);
    } finally {
      await running.stop(100);
    }
  });
});

describe('a login that fails', () => {
  standOf();

  // before there are workers
  test('a worker killed between the stop and the end of its run: the sweep ends it', async () => {
    const api = 'shiprocket';
    await parcels(api, 60);
    await stand.start(api);
    await stand.stack.sql`
      update trackers set stopped_at = ${new Date(stand.now() + 1)}, stopped_reason = 'refused' where name = ${api}`;
    await stand.tick();
    expect(await stand.ended(api)).toMatchObject({ failed: 60, errors: { refused: 60 } });
    stand.work();
    stand.work();
    await parcels('velocity', 100);
  });

  test.each<[string, Parameters<ReturnType<typeof desk>['faults']['add']>[0]['do'], number]>([
    ['HTTP 500', { kind: 'status', status: 500 }, 30],
    ['not readable', { kind: 'wrongJson', body: {} }, 30],
    ['HTTP 429 with a time', { kind: 'limited', status: 429, headers: { 'retry-after': '90' } }, 90],
  ])(
    'for the moment (%s): all batches wait, with one login a try, and no parcel fails',
    async (_, fault, s) => {
      const api = 'velocity';
      desk(api).ledger.reset();
      await stand.stack.sql`update trackers set token = null, token_renew_at = null where name = ${api}`;
      stand.advance(60_000);
      desk(api).faults.add({ on: 'login', times: 2, do: fault });
      await stand.start(api);
      for (const tries of [1, 2]) {
        const row = await until(async () => {
          const row = await trackerRow(api);
          return row.waits === tries && row.waiting_until.getTime() > stand.now() && row;
        });
        expect(row.waiting_reason).toMatch(/^login: /);
        const wait = (row.waiting_until.getTime() - stand.now()) / 1000;
        expect(wait).toBeGreaterThan(s - 5);
        expect(wait).toBeLessThanOrEqual(s * tries * 1.1);
        expect(logins(api)).toHaveLength(tries);
        await stand.later(s * 2_200);
      }
      const run = await stand.ended(api);
      expect(run).toMatchObject({ failed: 0, planned: 100 });
      expect(logins(api)).toHaveLength(3);
    },
  );
});

describe('a login under way', () => {
  const api = 'shiprocket';
  standOf();
  beforeAll(async () => {
    await parcels(api, 60);
  });

  test('is waited for outside of every transaction', async () => {
    const sql = stand.stack.sql;
    desk(api).faults.add({ on: 'login', times: 1, do: { kind: 'delay', ms: 1_000 } });
    stand.work();
    await stand.start(api);
    // others look at the lease meanwhile, in transactions of a moment
    await until(async () => {
      const [now] = await sql`
        select login_until is not null as "loggingIn", exists (
          select from pg_stat_activity where datname = current_database() and state like 'idle in transaction%') as open
        from trackers where name = ${api}`;
      return now?.loggingIn && !now.open;
    });
    expect(await stand.ended(api)).toMatchObject({ failed: 0, planned: 60 });
    expect(logins(api)).toHaveLength(1);
    expect((await trackerRow(api)).login_until).toBeNull();
  });

  test('of a worker that was killed: nobody else logs in before its lease has run out', async () => {
    const sql = stand.stack.sql;
    desk(api).ledger.reset();
    await sql`
      update trackers set token = null, login_claim = gen_random_uuid(), login_until = now() + interval '30 s'
      where name = ${api}`;
    stand.advance(60_000);
    await stand.start(api);
    await until(async () => {
      const [row] = await sql`
        select count(*)::int as later from tracking_batches where state = 'pending' and attempts = 0 and due_at > now()`;
      return row?.later > 0;
    });
    expect(logins(api)).toHaveLength(0);
    await sql`update trackers set login_until = now() where name = ${api}`;
    expect(await stand.ended(api)).toMatchObject({ failed: 0, planned: 60 });
    expect(logins(api)).toHaveLength(1);
  });

  test('that takes longer than its lease: what comes of it is not written over another worker’s', async () => {
    const sql = stand.stack.sql;
    desk(api).ledger.reset();
    const other = stand.deps.secrets.encrypt('of another worker', `trackers.token of ${api}`);
    await sql`update trackers set token = null where name = ${api}`;
    stand.advance(60_000);
    desk(api).faults.add({ on: 'login', times: 1, do: { kind: 'delay', ms: 500 } });
    await stand.start(api);
    await until(async () => (await trackerRow(api)).login_until !== null);
    await sql`
      update trackers set token = ${other}, token_fetched_at = ${new Date(stand.now() - 60_000)},
        login_claim = gen_random_uuid(), login_until = null where name = ${api}`;
    await until(() => logins(api).length === 1);
    expect((await trackerRow(api)).token).toBe(other);
    // that one is refused, and another login brings a good one
    expect(await stand.ended(api)).toMatchObject({ failed: 0, planned: 60 });
    expect(logins(api)).toHaveLength(2);
  });
});

describe('a courier whose clock is late', () => {
  const api = 'delhivery-b2b';
  standOf();

  test('C11: its token lasts as long as it says, by our clock: one login', async () => {
    const { world } = stand.sandbox;
    world.clock.offsetMs = -30 * 24 * 3_600_000;
    await parcels(api, 8);
    await stand.stack.sql`update shipments set booked_at = now()`;
    stand.work();
    expect(await stand.run(api)).toMatchObject({ failed: 0, planned: 8, waits: 0 });
    expect(logins(api)).toHaveLength(1);
    const { tokenSeconds } = desk(api).account?.settings ?? {};
    const { token_expires_at: expiresAt } = await trackerRow(api);
    expect(expiresAt.getTime() - stand.now()).toBeGreaterThan((tokenSeconds ?? 0) * 900);
  });
});

describe('Velocity', () => {
  const api = 'velocity';
  standOf({ velocity: { header: 'bearer' } });

  test('wants its token raw or as bearer: found out once, and remembered', async () => {
    await parcels(api, 90);
    stand.work();
    await stand.run(api);
    const before = refused(api);
    expect(before).toBeGreaterThan(0);
    expect((await trackerRow(api)).scheme).toBe(1);
    await stand.run(api);
    expect(refused(api)).toBe(before);
    expect(logins(api)).toHaveLength(1);
  });
});

describe('a key', () => {
  standOf(
    {},
    { VELOCITY_API_KEY: 'demo-velocity-api-key', DELHIVERY_AUTH_TOKEN_B2C: 'Token of-somebody-else' },
  );
  beforeAll(() => {
    stand.work();
  });

  test('of Velocity wins over the login', async () => {
    await parcels('velocity', 10);
    expect(await stand.run('velocity')).toMatchObject({ failed: 0, planned: 10 });
    expect(logins('velocity')).toHaveLength(0);
  });

  test('that is refused stops its tracker: one request at most for each place, one alert', async () => {
    const { couriers } = stand.sandbox;
    const api = 'delhivery-b2c';
    await stand.book(couriers.parcels.addMany({ api, count: 2_000, mix: { ndr: 1 } }));
    const run = await stand.run(api);
    expect(run).toMatchObject({ failed: 2_000, updated: 0 });
    expect(couriers.api[api].ledger.summary().requests).toBeLessThanOrEqual(20);
    expect(await alerts(api)).toMatchObject([
      { payload: { text: expect.stringContaining('DELHIVERY_AUTH_TOKEN_B2C') } },
    ]);
  });
});
