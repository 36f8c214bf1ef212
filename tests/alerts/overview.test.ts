import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { deliveryOverview, openNotices } from '../../src/alerts/index.ts';
import type { Store } from '../../src/temu/client.ts';
import { activeStore, addStore, pauseRefusedStore, resumeStore } from '../../src/temu/stores.ts';
import { orderfleet } from '../cli/orderfleet.ts';
import { reapProcesses } from '../support/process.ts';
import { type AlertStand, startAlertStand } from './harness.ts';
import { asSlack, type Receiver, SLACK_TOKEN, startReceiver } from './receiver.ts';

const DAY = 86_400_000;
let receiver: Receiver;
let slackServer: Receiver;
let stand: AlertStand;

beforeAll(async () => {
  receiver = await startReceiver();
  slackServer = await startReceiver();
  asSlack(slackServer);
  stand = await startAlertStand({
    ...{ SLACK_TOKEN, SLACK_API_URL: `${slackServer.url}/api/`, ALERTS_SLACK_CHANNEL_ID: 'CPEOPLE' },
  });
});
afterEach(async () => {
  await stand.clear();
  receiver.received.length = 0;
  receiver.answers = () => ({});
});
afterAll(async () => {
  await reapProcesses();
  await stand?.close();
  await receiver?.close();
  await slackServer?.close();
});

const open = async () => (await openNotices(stand.deps.db, 20, stand.deps.clock())).map(({ text }) => text);
const event = (endpointId: string) => stand.notice('order.rto', { endpointId, event: { number: 'N1' } });
const run = async (...args: string[]) => await orderfleet(args, stand.stack.env);
async function json<T>(...args: string[]): Promise<{ code: number | null; data: T }> {
  const { code, stdout, output } = await run(...args, '--json');
  try {
    return { code, data: JSON.parse(stdout) as T };
  } catch {
    throw new Error(`${args.join(' ')} printed no JSON:\n${output}`);
  }
}

describe('what needs a person', () => {
  test('a delivered notice is still shown, for seven days; those for machines are not', async () => {
    await stand.notice('awb-at-risk', { store: 'my-shop', text: 'order X must ship' });
    await stand.parcel('lost', 'A');
    await stand.notice('tracking-report', { runId: crypto.randomUUID() });
    expect(await open()).toEqual(['my-shop: order X must ship']);
    await stand.turn();
    expect(await open()).toEqual(['my-shop: order X must ship']);
    stand.advance(8 * DAY);
    expect(await open()).toEqual([]);
  });

  test('a store that goes on again is no matter any more, whether people were told or not', async () => {
    const { db, secrets } = stand.deps;
    const id = await addStore(db, secrets, {
      ...{ name: 'my-shop', region: 'EU', country: 'RO', apiVersion: 'v1' },
      ...{ appKey: 'k', appSecret: 's', accessToken: 't' },
    });
    const pause = async () => {
      const store = (await activeStore(db, secrets, id)) as Store;
      await pauseRefusedStore(db, store, { kind: 'credentials', message: 'token expired' });
    };
    await pause();
    await stand.turn();
    expect(await open()).toEqual([expect.stringContaining('my-shop: Temu refused the store')]);
    await resumeStore(db, 'my-shop');
    expect(await open()).toEqual([]);
    await pause();
    expect((await open())[0]).toContain('my-shop: Temu refused the store');
    await resumeStore(db, 'my-shop');
    expect(await open()).toEqual([]);
  });

  test('deliveries that were given up are shown by where they were to go, with the reason', async () => {
    const { id } = await stand.endpoint(`${receiver.url}/crm`, ['order.rto']);
    for (let nth = 0; nth < 3; nth++) await event(id);
    receiver.answers = () => ({ status: 404 });
    while (await stand.next());
    expect(await open()).toEqual([
      `3 × order.rto to ${receiver.url}/crm could not be delivered: HTTP 404; orderfleet webhooks failed`,
    ]);
    expect(await deliveryOverview(stand.deps.db, stand.deps.clock())).toMatchObject({ sent: 0 });
  });
});

describe('orderfleet webhooks', () => {
  test('add prints the secret once; list, test, remove', async () => {
    const url = `${receiver.url}/hook`;
    const added = await json<{ url: string; secret: string; events: string[] }>(
      ...['webhooks', 'add', url, '--events', 'order.rto,shipment.updated'],
    );
    expect(added).toMatchObject({ code: 0, data: { url, events: ['order.rto', 'shipment.updated'] } });
    const { secret } = added.data;
    expect(secret).toMatch(/^whsec_[\w-]{43}$/);
    const stored = JSON.stringify(await stand.stack.sql`select * from webhook_endpoints`);
    expect(stored).not.toContain(secret);

    const [again, listed, tried] = await Promise.all([
      run('webhooks', 'add', url, '--events', 'order.rto'),
      run('webhooks', 'list', '--json'),
      json('webhooks', 'test', url),
    ]);
    expect(again).toMatchObject({ code: 2, output: expect.stringContaining('is already an endpoint') });
    expect(listed.output).not.toContain(secret);
    expect(JSON.parse(listed.stdout)).toMatchObject([{ url, active: true, sent: 0, waiting: 0, failed: 0 }]);
    expect(tried).toMatchObject({ code: 0, data: { ok: true, status: 200, why: null } });
    expect(JSON.parse(receiver.received[0]?.body ?? '')).toMatchObject({ event: 'ping' });

    receiver.answers = () => ({ status: 500 });
    const [bad, removed] = [await json('webhooks', 'test', url), await run('webhooks', 'remove', url)];
    expect(bad).toMatchObject({ code: 1, data: { ok: false, why: 'HTTP 500' } });
    expect(removed).toMatchObject({ code: 0, output: `${url} removed.\n` });
    expect(await run('webhooks', 'test', url)).toMatchObject({ code: 2 });
  });

  test('wrong usage says what is wanted', async () => {
    const [events, address] = await Promise.all([
      run('webhooks', 'add', 'https://x.example', '--events', 'order.paid'),
      run('webhooks', 'add', 'ftp://x.example', '--events', 'order.rto'),
    ]);
    expect(events).toMatchObject({ code: 2, output: expect.stringContaining('order.rto, shipment.updated') });
    expect(address).toMatchObject({ code: 2, output: expect.stringContaining('is not a URL') });
  });

  test('failed, retry: given-up deliveries are due again with all their tries; status shows them', async () => {
    const { id } = await stand.endpoint(`${receiver.url}/crm`, ['order.rto']);
    const first = await event(id);
    await sleep(2); // they are shown by their time, the newest first
    const second = await event(id);
    await stand.stack.sql`update notices set state = 'failed', attempts = 32, error = 'HTTP 503'`;
    const failed = await json<{ id: string }[]>('webhooks', 'failed');
    expect(failed.data).toMatchObject([
      { id: second, event: 'order.rto', tries: 32, error: 'HTTP 503' },
      { id: first },
    ]);
    const status = await run('status');
    expect(status.output).toMatch(/Messages, last 24 h {2}0 sent · 0 waiting · 2 failed/);
    expect(status.output).toContain('2 × order.rto to');
    expect(await json('webhooks', 'retry', first)).toEqual({ code: 0, data: { retried: 1 } });
    expect(await stand.row(first)).toMatchObject({ state: 'pending', attempts: 0, error: null });
    expect((await run('webhooks', 'retry', crypto.randomUUID())).code).toBe(2);
    expect((await run('webhooks', 'retry')).code).toBe(2);
    expect(await json('webhooks', 'retry', '--failed')).toEqual({ code: 0, data: { retried: 1 } });
    await stand.turn();
    expect(receiver.received).toHaveLength(2);
  });
});
