import fc from 'fast-check';
import type { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CourierName } from '../../sandbox/couriers/model.ts';
import { createParcels, type ParcelSpec } from '../../sandbox/couriers/parcels.ts';
import { bookParcels } from '../../sandbox/other-channels.ts';
import { parseConfig } from '../../src/config/index.ts';
import { openFleet } from '../../src/fleet/index.ts';
import { applyWebhook, courierWebhooks, reconcileTrackers, startRun } from '../../src/tracking/index.ts';
import { couriers } from '../../src/tracking/registry.ts';
import { webhooks } from '../../src/web/routes/courier-webhooks.ts';
import { createApp } from '../../src/web/server.ts';
import { startTestFleet, type TestFleet } from '../support/fleet.ts';
import { held } from '../support/held.ts';
import { courierOf } from '../support/selection.ts';
import { freePort, until } from '../support/until.ts';

const DELHIVERY = 'secret-of-delhivery';
const SHIPROCKET = 'secret-of-shiprocket';
const HOUR = 3_600_000;
const NOWHERE = { eu: 'http://127.0.0.1:9/', us: 'http://127.0.0.1:9/', global: 'http://127.0.0.1:9/' };
const DEEP = '['.repeat(100_000) + ']'.repeat(100_000);
const SECRETS = { DELHIVERY_WEBHOOK_TOKEN: DELHIVERY, SHIPROCKET_WEBHOOK_TOKEN: SHIPROCKET };

let stack: TestFleet;
let app: Hono;
beforeAll(async () => {
  stack = await startTestFleet('postgres', NOWHERE, {
    ...SECRETS,
    DELHIVERY_AUTH_TOKEN_B2C: 'key',
    DELHIVERY_B2B_USERNAME: 'user',
    DELHIVERY_B2B_PASSWORD: 'pass',
    SHIPROCKET_EMAIL: 'user@example.org',
    SHIPROCKET_PASSWORD: 'pass',
  });
  await reconcileTrackers(stack.fleet, undefined);
  app = webhooks(stack.fleet);
});
afterAll(() => stack?.close());

const sql = () => stack.sql;
const clock = { offsetMs: 0, now: () => Date.now() };
const parcels = createParcels(clock, 1);

/** A parcel at its courier, with its order and shipment in the database. */
async function parcel(api: CourierName, spec: Partial<ParcelSpec> = {}) {
  const added = parcels.add({ api, life: 'manifested', bookedAt: clock.now() - 48 * HOUR, ...spec });
  await bookParcels(sql(), [added]);
  return added;
}
/** What the courier pushes when this has happened to the parcel. */
function event(number: string, word: Parameters<typeof parcels.setWord>[1]) {
  parcels.setWord(number, word);
  return parcels.push(number);
}
const lines = (msg: string) =>
  stack
    .logged()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .filter((line) => line.msg === msg);

const secretOf = (courier: string) => (courier === 'delhivery' ? DELHIVERY : SHIPROCKET);
/** Counts, or an error. */
type Answer = Record<'scans' | 'updated' | 'unchanged' | 'mismatched' | 'unmapped' | 'unknown', number> & {
  error: string;
};
async function send(
  courier: string,
  body: unknown,
  headers: Record<string, string> = { 'x-api-key': secretOf(courier) },
  to: Hono = app,
) {
  const raw = typeof body === 'string' || body instanceof Uint8Array;
  const response = await to.request(`/webhooks/${courier}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: raw ? (body as string) : JSON.stringify(body),
  });
  const answer = (await response.json()) as Answer;
  return { status: response.status, headers: response.headers, body: answer };
}
async function shipment(number: string) {
  const [row] = await sql()`
    select s.*, o.order_status from shipments s join orders o on o.id = s.order_id
    where ${number} in (s.awb_number, s.lr_number)`;
  return row as Record<string, unknown>;
}
const events = async (number: string) =>
  (
    await sql()<{ status: string }[]>`
      select e.status from shipment_events e join shipments s on s.id = e.shipment_id
      where ${number} in (s.awb_number, s.lr_number) order by e.occurred_at`
  ).map(({ status }) => status);
const counts = (more: object) => ({
  status: 200,
  body: { scans: 1, updated: 0, unchanged: 0, mismatched: 0, unmapped: 0, unknown: 0, ...more },
});

describe('C14: a push is applied as an answer is', () => {
  test.each<[CourierName, string, string]>([
    ['delhivery-b2c', 'delhivery', 'delhivery-b2c'],
    ['delhivery-b2b', 'delhivery', 'delhivery-b2b'],
    ['delhivery-fallback', 'delhivery', 'delhivery-fallback'],
    ['shiprocket', 'shiprocket', 'shiprocket'],
    ['shiprocket', 'parcels-in', 'shiprocket'],
  ])('%s, by /webhooks/%s: status, history, the order’s code, milestones', async (api, path, tracker) => {
    const { number } = await parcel(api);
    const at = Math.floor(clock.now() / 1000) * 1000 - 5 * HOUR;
    const picked = event(number, { event: 'pickedUp', at });
    expect(await send(path, picked)).toMatchObject(counts({ updated: 1 }));
    expect(await shipment(number)).toMatchObject({
      status: 'in_transit',
      picked_up_at: new Date(at),
      last_tracked_at: expect.any(Date),
      order_status: 8,
      tracked_by: tracker,
    });
    const out = event(number, { event: 'outForDelivery', at: at + HOUR });
    const delivered = event(number, { event: 'delivered', at: at + 2 * HOUR });
    expect(await send(path, delivered)).toMatchObject(counts({ updated: 1 }));
    // twice, and what was overtaken on its way
    for (const body of [delivered, out, picked])
      expect(await send(path, body)).toMatchObject(counts({ unchanged: 1 }));
    expect(await shipment(number)).toMatchObject({
      status: 'delivered',
      delivered_at: new Date(at + 2 * HOUR),
      order_status: 10,
      tracked_by: null,
    });
    expect(await events(number)).toEqual(['in_transit', 'delivered']);
    // C7: nobody asks for it any more, and still its return is heard of
    const back = event(number, { event: 'rtoStarted', at: at + 3 * HOUR });
    expect(await send(path, back)).toMatchObject(counts({ updated: 1 }));
    expect(await shipment(number)).toMatchObject({ status: 'rto_in_transit', order_status: 14 });
    expect(lines('a parcel was updated after its final status').at(-1)).toMatchObject({
      number,
      from: 'delivered',
    });
  });

  test('C12: notices are written with the change, once', async () => {
    const { number } = await parcel('delhivery-b2c');
    const lost = event(number, { event: 'lost' });
    for (let times = 0; times < 2; times++) await send('delhivery', lost);
    expect(await sql()`select kind from notices where payload->>'awb' = ${number}`).toEqual([
      { kind: 'lost' },
    ]);
  });

  test('C7: of two scans of one moment in a push the one that is further along counts, in either order', async () => {
    for (const turned of [false, true]) {
      const { number } = await parcel('delhivery-b2c');
      const at = Math.floor(clock.now() / 1000) * 1000 - HOUR;
      const both = [
        event(number, { event: 'outForDelivery', at }),
        event(number, { event: 'delivered', at }),
      ];
      expect(await send('delhivery', turned ? both.reverse() : both)).toMatchObject(counts({ updated: 1 }));
      expect(await shipment(number)).toMatchObject({ status: 'delivered', delivered_at: new Date(at) });
    }
  });

  test('C8: a push without the order’s reference contradicts nothing', async () => {
    for (const reference of ['', '   ']) {
      const { number } = await parcel('delhivery-b2c');
      const body = event(number, { event: 'delivered', reference });
      expect(await send('delhivery', body)).toMatchObject(counts({ updated: 1 }));
      expect(await shipment(number)).toMatchObject({ status: 'delivered' });
    }
  });

  test('C8: another order’s reference: nothing is applied, and it is counted', async () => {
    const { number } = await parcel('delhivery-b2c');
    const body = event(number, { event: 'delivered', reference: 'SOMEBODY-ELSE' });
    expect(await send('delhivery', body)).toMatchObject(counts({ mismatched: 1 }));
    expect(await shipment(number)).toMatchObject({ status: 'pending', courier_status: null });
  });

  test('C6: a word that no table has is kept and told of once, and changes nothing', async () => {
    const { number } = await parcel('delhivery-b2c');
    const body = event(number, { status: 'Held by a dragon' });
    for (let times = 0; times < 2; times++)
      expect(await send('delhivery', body)).toMatchObject(counts({ unmapped: 1 }));
    expect(await shipment(number)).toMatchObject({ status: 'pending', unmapped_word: 'UD-HELD_BY_A_DRAGON' });
    expect(await sql()`select count from unmapped_statuses where word = 'UD-HELD_BY_A_DRAGON'`).toEqual([
      { count: 1 },
    ]);
    expect(
      await sql()`select count(*)::int as n from notices where kind = 'unmapped-status' and payload->>'word' = 'UD-HELD_BY_A_DRAGON'`,
    ).toEqual([{ n: 1 }]);
  });

  test('parcels that we do not know, or that are another courier’s: 200 and counted, nothing is written', async () => {
    const brokers = await parcel('shiprocket');
    const velocity = await parcel('velocity');
    const strangers = [brokers, velocity].map(({ number, reference }) => ({
      Shipment: { AWB: number, ReferenceNo: reference, Status: { Status: 'Delivered', StatusType: 'DL' } },
    }));
    const none = { Shipment: { AWB: 'NOBODYS', Status: { Status: 'Delivered', StatusType: 'DL' } } };
    expect(await send('delhivery', none)).toMatchObject(counts({ unknown: 1 }));
    expect(await send('delhivery', strangers)).toMatchObject(counts({ scans: 2, unknown: 2 }));
    for (const { number } of [brokers, velocity])
      expect(await shipment(number)).toMatchObject({ status: 'pending', last_tracked_at: null });
  });

  test('A1: a placeholder is nobody’s number, also where one was stored once', async () => {
    const { number } = await parcel('delhivery-b2b');
    await sql()`update shipments set lr_number = 'NA', awb_number = ${`${number}1`} where lr_number = ${number}`;
    const none = { Shipment: { AWB: 'NA', Status: { Status: 'Delivered', StatusType: 'DL' } } };
    expect(await send('delhivery', none)).toMatchObject(counts({ unknown: 1 }));
    const both = [
      none,
      { Shipment: { AWB: `${number}1`, Status: { Status: 'Dispatched', StatusType: 'UD' } } },
    ];
    expect(await send('delhivery', both)).toMatchObject(counts({ scans: 2, updated: 1, unknown: 1 }));
    expect(await shipment(`${number}1`)).toMatchObject({ status: 'out_for_delivery' });
  });

  test('a list: each parcel by itself; of several scans of one the newest counts; one line in the log', async () => {
    const [one, two] = [await parcel('delhivery-b2c'), await parcel('delhivery-b2b')];
    const at = clock.now() - 5 * HOUR;
    const list = [
      event(one.number, { event: 'outForDelivery', at: at + HOUR }),
      event(one.number, { event: 'pickedUp', at }),
      event(two.number, { event: 'lost', at }),
      { Shipment: { AWB: 'NOBODYS', Status: { Status: 'Delivered', StatusType: 'DL' } } },
    ];
    expect(await send('delhivery', list)).toMatchObject(counts({ scans: 3, updated: 2, unknown: 1 }));
    expect(await shipment(one.number)).toMatchObject({ status: 'out_for_delivery' });
    expect(await shipment(two.number)).toMatchObject({ status: 'lost' });
    const line = lines('webhook').at(-1);
    expect(line).toMatchObject({
      courier: 'delhivery',
      scans: 3,
      updated: 2,
      unknown: 1,
      ms: expect.any(Number),
    });
    expect(JSON.stringify(line)).not.toContain(one.number);
  });

  test('B2B: the consignment is meant by its LR number, and by the AWB of its master box; case does not matter', async () => {
    const { number, reference } = await parcel('delhivery-b2b', { number: 'LR-7a' });
    await sql()`update shipments set awb_number = 'MASTER1' where lr_number = ${number}`;
    const said = (AWB: string, Status: string) => ({
      Shipment: { AWB, ReferenceNo: reference, Status: { Status, StatusType: 'UD' } },
    });
    expect(await send('delhivery', said('master1', 'In Transit'))).toMatchObject(counts({ updated: 1 }));
    expect(await send('delhivery', said(' LR-7a ', 'Dispatched'))).toMatchObject(counts({ updated: 1 }));
    expect(await shipment(number)).toMatchObject({ status: 'out_for_delivery' });
    // a box that is not the master one is none of ours
    expect(await send('delhivery', said('BOX2', 'In Transit'))).toMatchObject(counts({ unknown: 1 }));
  });

  test('a parcel heard of by push is asked for later than those that were not', async () => {
    await sql()`update shipments set being_tracked = false`;
    const six = [];
    for (let n = 0; n < 6; n++) six.push(await parcel('delhivery-b2c'));
    // asked for an hour ago, one after the other
    for (const [n, { number }] of six.entries())
      await sql()`
        update tracked_parcels set last_tracked_at = ${new Date(clock.now() - HOUR + n)}
        from shipments where id = shipment_id and awb_number = ${number}`;
    const [first, second, ...others] = six.map(({ number }) => number) as [string, string, ...string[]];
    for (const number of [first, second])
      expect(await send('delhivery', event(number, { event: 'pickedUp' }))).toMatchObject(
        counts({ updated: 1 }),
      );
    const tracker = stack.fleet.trackers.find(({ name }) => name === 'delhivery-b2c');
    if (!tracker) throw new Error('no tracker');
    const started = await startRun(stack.fleet, {
      ...tracker,
      courier: { ...tracker.courier, mostPerRun: 4 },
    });
    expect(started).toMatchObject({ is: 'started', planned: 4 });
    const planned = await sql()<{ number: string }[]>`
      select s.awb_number as number from tracking_batches b cross join unnest(b.shipment_ids) with ordinality as p(id, place)
        join shipments s on s.id = p.id order by p.place`;
    expect(planned.map(({ number }) => number)).toEqual(others);
  });
});

describe('R2, R3: at once, and in each other’s way', () => {
  test('the same push ten times at once: one change', async () => {
    const { number } = await parcel('delhivery-b2c');
    const body = event(number, { event: 'pickedUp' });
    const answers = await Promise.all(Array.from({ length: 10 }, () => send('delhivery', body)));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(answers.reduce((sum, { body }) => sum + body.updated, 0)).toBe(1);
    expect(await events(number)).toEqual(['in_transit']);
  });

  test('a deadlock that Postgres ends at its cost is nobody’s trouble: it is done again', async () => {
    const both = [await parcel('delhivery-b2c'), await parcel('delhivery-b2c')];
    const rows = await sql()<{ id: string }[]>`
      select id from shipments where awb_number = any(${both.map(({ number }) => number)}::text[]) order by id`;
    const [low, high] = rows.map(({ id }) => id) as [string, string];
    const body = both.map(({ number }) => event(number, { event: 'pickedUp' }));
    const deadlocks = async () =>
      (
        await sql()<{ n: number }[]>`
        select pg_stat_get_db_deadlocks(oid)::int as n from pg_database where datname = current_database()`
      )[0]?.n ?? 0;
    const before = await deadlocks();
    let sending: ReturnType<typeof send> | undefined;
    await sql().begin(
      held(async (other) => {
        await other`set local deadlock_timeout = '60s'`; // so the push finds it, and gives way
        await other`select from shipments where id = ${high} for update`;
        sending = send('delhivery', body);
        // it holds the first row and waits for the second
        await until(async () => {
          const waiting =
            await sql()`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
          return waiting.length > 0;
        });
        await other`select from shipments where id = ${low} for update`;
      }),
    );
    expect(await sending).toMatchObject(counts({ scans: 2, updated: 2 }));
    await until(async () => (await deadlocks()) > before);
  });

  test('a row that stays locked: the push gives up in time, and nothing of it is written', async () => {
    const { number } = await parcel('delhivery-b2c');
    const body = event(number, { event: 'pickedUp' });
    const { fleet } = stack;
    const address = courierWebhooks(fleet.config, fleet.trackers).get('delhivery');
    if (!address) throw new Error('no address');
    await sql().begin(
      held(async (other) => {
        await other`select from shipments where awb_number = ${number} for update`;
        await expect(applyWebhook(fleet, address, body, 100)).rejects.toThrow(/statement timeout/);
      }),
    );
    expect(await shipment(number)).toMatchObject({ status: 'pending', last_tracked_at: null });
  });
});

describe('R5: who may push', () => {
  const body = { Shipment: { AWB: 'NOBODYS', Status: { Status: 'Delivered', StatusType: 'DL' } } };
  const push = { awb: 'NOBODYS', current_status: 'Delivered' };

  test.each<[string, Record<string, string>]>([
    ['Authorization: Bearer', { authorization: `Bearer ${DELHIVERY}` }],
    ['Authorization: Token', { authorization: `Token ${DELHIVERY}` }],
    ['Authorization alone', { authorization: DELHIVERY }],
    ['X-Api-Key', { 'X-Api-Key': DELHIVERY }],
    ['X-Webhook-Token', { 'x-webhook-token': DELHIVERY }],
    ['the right one beside a wrong one', { authorization: 'Basic eDp5', 'x-api-key': DELHIVERY }],
  ])('Delhivery may with %s', async (_, headers) => {
    expect(await send('delhivery', body, headers)).toMatchObject(counts({ unknown: 1 }));
  });

  test.each(['x-api-key', 'Anx-Api-Key'])('Shiprocket may with %s', async (header) => {
    expect(await send('shiprocket', push, { [header]: SHIPROCKET })).toMatchObject(counts({ unknown: 1 }));
  });

  // Shiprocket's dashboard tries an address before it takes it
  test.each([
    ['nothing', ''],
    ['{}', {}],
    ['null', null],
    ['a greeting', { message: 'test webhook ping' }],
    ['a push of no parcel', { ...push, awb: '' }],
  ])(
    'Shiprocket’s test of the address, %s: 200 with the right secret alone, and nothing happens',
    async (_, sent) => {
      expect(await send('parcels-in', sent)).toMatchObject({ status: 200, body: { test: true, scans: 0 } });
      const fresh = webhooks(stack.fleet);
      expect((await send('parcels-in', sent, { 'x-api-key': 'secret-of-somebody' }, fresh)).status).toBe(401);
      expect((await send('delhivery', sent)).status).toBe(400);
    },
  );
  test('Shiprocket’s push of a parcel without a status, and what is no JSON, are no tests', async () => {
    expect((await send('shiprocket', { awb: 'NOBODYS' })).status).toBe(400);
    expect((await send('shiprocket', '{"awb":"NOBODYS"')).status).toBe(400);
  });

  test.each<[string, string, Record<string, string>]>([
    ['delhivery', 'no header', {}],
    ['delhivery', 'another secret', { 'x-api-key': 'secret-of-somebody' }],
    ['delhivery', 'the other courier’s', { 'x-api-key': SHIPROCKET }],
    ['delhivery', 'the right one and more', { 'x-api-key': `${DELHIVERY}x` }],
    ['delhivery', 'the beginning of it', { authorization: `Token ${DELHIVERY.slice(0, -1)}` }],
    ['delhivery', 'another case', { authorization: `Token ${DELHIVERY.toUpperCase()}` }],
    ['shiprocket', 'a header that it does not send', { authorization: `Bearer ${SHIPROCKET}` }],
    ['parcels-in', 'another secret', { 'x-api-key': DELHIVERY }],
  ])('%s may not with %s: 401, before the body is looked at', async (courier, _, headers) => {
    const fresh = webhooks(stack.fleet);
    const answer = await send(courier, 'no JSON', headers, fresh);
    expect(answer).toMatchObject({ status: 401, body: { error: expect.stringContaining('_WEBHOOK_TOKEN') } });
    for (const secret of [DELHIVERY, SHIPROCKET]) expect(JSON.stringify(answer.body)).not.toContain(secret);
  });

  test('after ten wrong secrets wrong ones wait; the right one passes, from the same address, too', async () => {
    let now = Date.now();
    const fresh = webhooks({ ...stack.fleet, clock: () => now });
    const wrong = { 'x-api-key': 'secret-of-somebody' };
    for (let times = 0; times < 10; times++)
      expect((await send('delhivery', body, wrong, fresh)).status).toBe(401);
    const refused = await send('delhivery', body, wrong, fresh);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect((await send('delhivery', body, { 'x-api-key': DELHIVERY }, fresh)).status).toBe(200);
    expect((await send('delhivery', body, wrong, fresh)).status).toBe(429);
    expect((await send('shiprocket', push, wrong, fresh)).status).toBe(401);
    now += 1_000;
    expect((await send('delhivery', body, wrong, fresh)).status).toBe(401);
  });

  test('closed until its secret is set: 503, which names the setting', async () => {
    const { config } = stack.fleet;
    const read = ((shape) => ({
      ...config.read(shape),
      DELHIVERY_WEBHOOK_TOKEN: undefined,
    })) as typeof config.read;
    const closed = webhooks({ ...stack.fleet, config: { ...config, read } });
    expect(await send('delhivery', body, { 'x-api-key': 'undefined' }, closed)).toMatchObject({
      status: 503,
      body: { error: expect.stringContaining('DELHIVERY_WEBHOOK_TOKEN') },
    });
    expect((await send('shiprocket', push, { 'x-api-key': SHIPROCKET }, closed)).status).toBe(200);
  });

  test.each(['velocity', 'delhivery-b2c', '__proto__', 'constructor', '%00'])(
    'nobody is at /webhooks/%s: 404',
    async (courier) => {
      expect((await send(courier, body)).status).toBe(404);
    },
  );
  test('in the whole web process: its own secret lets it in, no login and no page of ours is needed', async () => {
    const whole = createApp(stack.fleet);
    expect(await send('delhivery', body, undefined, whole)).toMatchObject(counts({ unknown: 1 }));
    expect((await send('delhivery', body, {}, whole)).status).toBe(401);
  });
  test('404 for other methods', async () => {
    expect((await app.request('/webhooks/delhivery')).status).toBe(404);
  });

  test('secrets are in no log, right or wrong', () => {
    expect(stack.logged()).not.toContain(DELHIVERY);
    expect(stack.logged()).not.toContain(SHIPROCKET);
    expect(stack.logged()).not.toContain('secret-of-somebody');
  });
});

describe('R4: bodies', () => {
  test.each<[string, string | Uint8Array]>([
    ['broken JSON', '{"Shipment":'],
    ['nothing', ''],
    ['an empty list', '[]'],
    ['null', 'null'],
    ['a form', 'awb=1&current_status=Delivered'],
    ['deep JSON', DEEP],
    ['deep JSON for a number', `{"Shipment":{"AWB":${DEEP},"Status":{"Status":"Lost","StatusType":"LT"}}}`],
    ['deep JSON for a status', `{"Shipment":{"AWB":"1","Status":${DEEP}}}`],
    ['JSON that ends too early', '['.repeat(100_000)],
    ['wrong types', '{"Shipment":{"AWB":{},"Status":"Delivered"}}'],
    ['no status', '{"Shipment":{"AWB":"1"}}'],
  ])('400 for %s', async (_, body) => {
    const answer = await send('delhivery', body);
    expect(answer).toMatchObject({ status: 400, body: { error: expect.any(String) } });
  });

  test.each<[string, (body: string) => Uint8Array | string, object]>([
    [
      'a byte that is no UTF-8: 400, and nothing is applied',
      (body) => Buffer.from(body.replace('"Status":"', '"Status":"\xff'), 'latin1'),
      { status: 400 },
    ],
    [
      'deep JSON where nobody looks: the rest is applied',
      (body) => body.replace('{', `{"more":${DEEP},`),
      counts({ updated: 1 }),
    ],
  ])('in a push that is right otherwise, %s', async (_, spoil, answer) => {
    const { number } = await parcel('delhivery-b2c');
    const body = JSON.stringify(event(number, { event: 'pickedUp' }));
    expect(await send('delhivery', spoil(body))).toMatchObject(answer);
    const applied = 'body' in answer;
    expect(await shipment(number)).toMatchObject({ status: applied ? 'in_transit' : 'pending' });
  });

  test('413 for more than 256 KB', async () => {
    expect((await send('delhivery', `[${' '.repeat(300_000)}]`)).status).toBe(413);
  });

  test('garbage with a known parcel’s number in it never gives it a status that was not said', async () => {
    const { number, reference } = await parcel('delhivery-b2c');
    const junk = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom('\u0000', '\ud800', `${number}\u0000`, 'UD', 'delivered?', '2026-13-45'),
    );
    const shipment_ = fc.record({
      Shipment: fc.record({
        AWB: fc.oneof({ weight: 3, arbitrary: fc.constant(number) }, { weight: 1, arbitrary: junk }),
        ReferenceNo: fc.oneof(
          { weight: 3, arbitrary: fc.constant(reference) },
          { weight: 1, arbitrary: junk },
        ),
        NSLCode: junk,
        Status: fc.oneof(junk, fc.record({ Status: junk, StatusType: junk, StatusDateTime: junk })),
      }),
    });
    let reached = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(shipment_, fc.array(shipment_), fc.jsonValue()), async (body) => {
        const answer = await send('delhivery', body);
        expect([200, 400]).toContain(answer.status);
        expect(answer.body.updated ?? 0).toBe(0);
        if (answer.status === 200 && answer.body.scans > answer.body.unknown) reached++;
      }),
      { numRuns: 150 },
    );
    expect(reached).toBeGreaterThan(5); // about 28 of them
    expect(await shipment(number)).toMatchObject({ status: 'pending', order_status: 4 });
  });
});

test('C14: with Postgres away 503, so that the courier sends it again', async () => {
  const away = `postgres://nobody@127.0.0.1:${await freePort()}/none`;
  const fleet = openFleet(parseConfig({ ...stack.env, DATABASE_URL: away }), 'test', {
    log: stack.fleet.log,
  });
  try {
    const body = { Shipment: { AWB: 'NOBODYS', Status: { Status: 'Delivered', StatusType: 'DL' } } };
    expect(await send('delhivery', body, undefined, webhooks(fleet))).toMatchObject({
      status: 503,
      body: { error: expect.stringContaining('again') },
    });
    expect(lines('Postgres or Redis is failing or unreachable').at(-1)).toMatchObject({
      faults: { 'POST /webhooks/delhivery': 1 },
    });
  } finally {
    await fleet.close();
  }
});

test('R10: with a Postgres that takes no writes 503 and when to come back, and nothing of it is half done', async () => {
  const { number } = await parcel('delhivery-b2c');
  const body = event(number, { event: 'pickedUp' });
  const name = new URL(stack.env.DATABASE_URL ?? '').pathname.slice(1);
  await sql().unsafe(`alter database ${name} set default_transaction_read_only = on`);
  const fleet = openFleet(parseConfig(stack.env), 'test', { log: stack.fleet.log });
  try {
    const answer = await send('delhivery', body, undefined, webhooks(fleet));
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '10']);
    expect(lines('Postgres or Redis is failing or unreachable').at(-1)).toMatchObject({
      err: expect.stringContaining('read-only'),
    });
  } finally {
    await fleet.close();
    await sql().unsafe(`alter database ${name} reset default_transaction_read_only`);
  }
  expect(await shipment(number)).toMatchObject({ status: 'pending', last_tracked_at: null });
  expect(await send('delhivery', body)).toMatchObject(counts({ updated: 1 }));
});

test('C2: whose parcel it is: the couriers’ files say it, and the database’s courier_of and tracker_of', async () => {
  const text = (...parts: string[]) =>
    fc.array(fc.constantFrom(...parts, ' ', 'x', 'İ', '%'), { maxLength: 4 }).map((all) => all.join(''));
  const number = fc.constantFrom(null, '', '  ', '\t', 'A1', ' A1 ');
  const booked = fc.record({
    bookingCourier: text('delhivery', 'Delhivery', 'SHIPROCKET', 'shiprocket', 'velocity', 'VELOCITY'),
    awb: number,
    lr: number,
    source: fc.constantFrom('shopify', 'Shopify', 'woocommerce', 'Outbound', 'other', 'Retailer', 'temu', ''),
  });
  const rows = fc.sample(booked, 2_000);
  await sql()`update trackers set enabled = true`;
  const found = await sql()<{ name: string | null; whose: string | null }[]>`
    select tracker_of(g."bookingCourier", g.awb, g.lr, null, g.source, 4) as name,
      courier_of(g."bookingCourier", g.awb, g.lr, g.source) as whose
    from jsonb_array_elements(${sql().json(rows as never)}) with ordinality as e(value, place)
      cross join jsonb_to_record(e.value) as g("bookingCourier" text, awb text, lr text, source text)
    order by e.place`;
  const own = rows.map((row) => courierOf(row, couriers)?.name ?? null);
  expect(own).toEqual(found.map(({ name }) => name));
  expect(own).toEqual(found.map(({ whose }) => whose));
  expect(new Set(own).size).toBe(6);
});
