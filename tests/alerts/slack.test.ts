import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { type AlertStand, startAlertStand } from './harness.ts';
import { asSlack, type Receiver, SLACK_TOKEN, startReceiver } from './receiver.ts';

const CHANNELS = {
  BOOKING_CANCELED_CHANNEL_ID: 'CCANCEL',
  LOST_DESTROY_SLACK_CHANNEL_ID: 'CLOST',
  B2B_DELIVERED_CHANNEL_ID: 'CB2B',
  ALERTS_SLACK_CHANNEL_ID: 'CPEOPLE',
};
const MINUTE = 60_000;

describe('C12: Slack', () => {
  let receiver: Receiver;
  let slack: ReturnType<typeof asSlack>;
  let stand: AlertStand;

  beforeAll(async () => {
    receiver = await startReceiver();
    slack = asSlack(receiver);
    stand = await startAlertStand(
      { SLACK_TOKEN, SLACK_API_URL: `${receiver.url}/api/`, ...CHANNELS },
      { timings: { callMs: 500 } },
    );
  });
  afterEach(async () => {
    await stand.clear();
    slack.posts.length = 0;
    receiver.received.length = 0;
  });
  afterAll(async () => {
    await stand?.close();
    await receiver?.close();
  });

  test('each kind goes to its channel, once, and reads well alone', async () => {
    const ids = await Promise.all([
      stand.parcel('booking_cancelled', 'AWB1'),
      stand.parcel('lost', 'AWB2', { courierStatus: 'lt-lost' }),
      stand.parcel('b2b-delivered', 'LR3', { tracker: 'delhivery-b2b', courierStatus: null }),
      stand.notice('store-paused', { store: 'my-shop', reason: 'Temu refused the store; rotate its token' }),
    ]);
    await stand.turn();
    await stand.turn();
    stand.advance(10 * MINUTE);
    await stand.turn();
    expect(Object.fromEntries(slack.posts.map(({ channel, text }) => [channel, text]))).toEqual({
      CCANCEL:
        '*🚫 Booking cancelled*\norder #AWB1 (shopify) · AWB AWB1 · Delhivery B2C · “ud-not_picked” · 22 Nov 14:05 UTC',
      CLOST:
        '*🔎 Parcel lost*\norder #AWB2 (shopify) · AWB AWB2 · Delhivery B2C · “lt-lost” · 22 Nov 14:05 UTC',
      CB2B: '*📦 B2B parcel delivered on its booking day*\norder #LR3 (shopify) · AWB LR3 · Delhivery B2B · 22 Nov 14:05 UTC',
      CPEOPLE: '*⚠️ 1 issue needs attention*\nmy-shop: Temu refused the store; rotate its token',
    });
    expect(slack.posts).toHaveLength(4);
    for (const id of ids)
      expect(await stand.row(id)).toMatchObject({
        state: 'sent',
        attempts: 1,
        error: null,
        sentAt: expect.any(Date),
      });
  });

  test('a burst is one message per channel: up to 50 lines, the rest is counted', async () => {
    for (let nth = 0; nth < 70; nth++) await stand.parcel(nth < 10 ? 'destroyed' : 'lost', `P${nth}`);
    await stand.parcel('booking_cancelled', 'ALONE');
    await stand.turn();
    expect(slack.posts).toHaveLength(2);
    const text = slack.posts.find(({ channel }) => channel === 'CLOST')?.text ?? '';
    expect(text).toContain('*💥 10 parcels destroyed*');
    expect(text).toContain('*🔎 60 parcels lost*');
    expect(text.match(/^• /gm)).toHaveLength(50);
    expect(text).toContain('… and 20 more');
    expect((await stand.rows()).every(({ state }) => state === 'sent')).toBe(true);
  });

  test('what a courier or a shop says mentions nobody and makes no link', async () => {
    await stand.parcel('lost', 'X', { courierStatus: '<!channel> & <https://evil.example|click>' });
    await stand.notice('unmapped-status', { text: '<@U123> *bold*\n\nsecond line' });
    await stand.parcel('destroyed', 'Y', { courierStatus: '@channel @here <!subteam^S1> &lt;!here&gt; _x_' });
    await stand.turn();
    const texts = slack.posts.map(({ text }) => text).join('\n');
    expect(texts).toContain('“&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;”');
    expect(texts).toContain('&lt;@U123&gt; *bold* second line');
    expect(texts).toContain('“@channel @here &lt;!subteam^S1&gt; &amp;lt;!here&amp;gt; _x_”');
    // Slack looks for names and addresses in a plain text only where it is asked to
    for (const { body } of receiver.received) expect(body).not.toMatch(/link_names|parse=/);
  });

  test('a payload of an unforeseen shape is told as well as it can be, and holds up nothing', async () => {
    await stand.notice('lost', { order: { nested: true }, at: 'yesterday', awb: 42 });
    stand.advance(1); // of one millisecond each could be the first
    await stand.notice('lost', {});
    await stand.turn();
    expect(slack.posts).toEqual([{ channel: 'CLOST', text: '*🔎 2 parcels lost*\n• AWB 42\n• lost' }]);
  });

  test('refused, cut, garbled, too slow: tried again later with growing delays, and delivered once', async () => {
    const id = await stand.parcel('lost', 'AGAIN');
    slack.refuse(
      { status: 500 },
      null,
      { body: '<html>oops' },
      { body: 'null' },
      'hang',
      slack.say({ ok: false, error: 'internal_error' }),
      slack.say({ ok: false, error: 'channel_not_found' }),
    );
    const errors: (string | null)[] = [];
    const delays: number[] = [];
    for (let turn = 0; turn < 7; turn++) {
      await stand.next();
      const { error, dueAt, state, attempts } = await stand.row(id);
      expect({ state, attempts }).toEqual({ state: 'pending', attempts: turn + 1 });
      errors.push(error);
      delays.push(dueAt.getTime() - stand.deps.clock());
      expect(slack.posts).toEqual([]);
    }
    expect(errors).toEqual([
      'Slack returned HTTP 500',
      expect.stringMatching(/POST 127\.0\.0\.1:\d+\/api\/chat\.postMessage: /),
      expect.stringContaining('Slack'),
      expect.stringContaining('Slack'),
      expect.stringContaining('no complete answer within 0.5 s'),
      'Slack rejected the message (internal_error)',
      expect.stringContaining('invite the bot'),
    ]);
    expect(delays[0]).toBeGreaterThan(14_000);
    expect(delays[4]).toBeGreaterThan(230_000);
    expect(Math.max(...delays)).toBeLessThan(15 * MINUTE * 1.3);
    await stand.next();
    expect(slack.posts).toHaveLength(1);
    expect(await stand.row(id)).toMatchObject({ state: 'sent', error: null });
    expect(await stand.next()).toBe(false);
  });

  test('429: Retry-After is kept to, no try is spent, and other channels go on', async () => {
    const id = await stand.parcel('lost', 'SLOW');
    slack.refuse({ status: 429, headers: { 'retry-after': '90' } });
    await stand.turn();
    const row = await stand.row(id);
    expect(row).toMatchObject({ state: 'pending', attempts: 0, error: 'Slack rate limit (HTTP 429)' });
    expect(row.dueAt.getTime() - stand.deps.clock()).toBeGreaterThan(85_000);
    // what comes due meanwhile waits with it; another channel does not
    await stand.parcel('lost', 'LATER');
    await stand.parcel('booking_cancelled', 'OTHER');
    await stand.turn();
    expect(receiver.received).toHaveLength(2);
    expect(slack.posts.map(({ channel }) => channel)).toEqual(['CCANCEL']);
    stand.advance(91_000);
    await stand.turn();
    expect(slack.posts.at(-1)).toEqual({
      channel: 'CLOST',
      text: expect.stringContaining('*🔎 2 parcels lost*'),
    });
    expect(slack.posts).toHaveLength(2);
  });

  test('a channel that hangs does not hold up the others', async () => {
    slack.refuse('hang');
    await stand.parcel('lost', 'HANGS');
    const hanging = stand.turn();
    await until(() => receiver.received.length === 1);
    await stand.parcel('booking_cancelled', 'GOES');
    await stand.turn();
    expect(slack.posts.map(({ channel }) => channel)).toEqual(['CCANCEL']);
    await hanging;
  });

  test('given up after a day, with the reason', async () => {
    const id = await stand.parcel('lost', 'NEVER');
    const startedAt = stand.deps.clock();
    slack.refuse(...Array.from({ length: 200 }, () => ({ status: 503 })));
    while (await stand.next());
    const hours = (stand.deps.clock() - startedAt) / 3_600_000;
    expect(hours).toBeGreaterThan(22);
    expect(hours).toBeLessThan(32);
    expect(await stand.row(id)).toMatchObject({ state: 'failed', error: 'Slack returned HTTP 503' });
    slack.refuse();
  });
});

test('C12: a token that Slack refuses is told with the remedy, tried seldom, and works again once it is right', async () => {
  const receiver = await startReceiver();
  const slack = asSlack(receiver);
  const stand = await startAlertStand({
    ...{ SLACK_TOKEN: 'xoxb-wrong', SLACK_API_URL: `${receiver.url}/api` },
    ...CHANNELS,
  });
  try {
    const id = await stand.parcel('lost', 'A');
    for (let turn = 0; turn < 20; turn++) {
      await stand.parcel('lost', `B${turn}`);
      await stand.turn();
      stand.advance(3_000);
    }
    expect(receiver.received.length).toBeLessThanOrEqual(4);
    expect((await stand.row(id)).error).toMatch(/invalid_auth.*set SLACK_TOKEN/);
    expect(stand.stack.logged()).not.toContain('xoxb-wrong');
    stand.deps.config.SLACK_TOKEN = SLACK_TOKEN;
    stand.advance(10 * MINUTE);
    await stand.turn();
    expect(slack.posts).toHaveLength(1);
    expect(slack.posts[0]?.text).toContain('*🔎 21 parcels lost*');
  } finally {
    await stand.close();
    await receiver.close();
  }
});

describe('C12: without Slack', () => {
  let stand: AlertStand;
  beforeAll(async () => {
    stand = await startAlertStand({ SLACK_TOKEN, LOST_DESTROY_SLACK_CHANNEL_ID: '' });
  });
  afterAll(() => stand?.close());

  test('a kind without a channel is withdrawn with the setting that is missing', async () => {
    const [lost, cancelled] = [await stand.parcel('lost', 'A'), await stand.parcel('booking_cancelled', 'B')];
    await stand.turn();
    expect(await stand.row(lost)).toMatchObject({
      state: 'withdrawn',
      error: 'no Slack channel configured: set LOST_DESTROY_SLACK_CHANNEL_ID',
    });
    expect((await stand.row(cancelled)).error).toContain('BOOKING_CANCELED_CHANNEL_ID');
  });

  test('what needs a person waits for a week, in case somebody sets where to tell it, and does not pile up', async () => {
    const id = await stand.notice('awb-at-risk', { text: 'order X must ship' });
    await stand.turn();
    expect(await stand.row(id)).toMatchObject({
      state: 'pending',
      attempts: 0,
      error: expect.stringContaining('ALERTS_SLACK_CHANNEL_ID'),
    });
    expect(await stand.turn()).toEqual([]);
    stand.advance(8 * 86_400_000);
    await stand.turn();
    expect(await stand.row(id)).toMatchObject({ state: 'withdrawn' });
  });
});
