import { describe, expect, test } from 'vitest';
import type { OpenNotice } from '../../src/alerts/index.ts';
import type { Overview } from '../../src/ops/overview.ts';
import type { AttentionCounts } from '../../src/orders/attention.ts';
import type { StoreOverview } from '../../src/temu/overview.ts';
import type { Tracker, TrackerOverview } from '../../src/tracking/index.ts';
import { couriers } from '../../src/tracking/registry.ts';
import type { Courier } from '../../src/tracking/toolkit/courier.ts';
import { attentionItems, headline } from '../../src/web/pages/attention.ts';
import { Couriers } from '../../src/web/pages/couriers.tsx';
import type { FleetState } from '../../src/web/pages/overview-data.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const MINUTE = 60_000;
const ago = (minutes: number) => new Date(NOW - minutes * MINUTE);

const store = (change: Partial<StoreOverview> = {}): StoreOverview => ({
  ...{ name: 'my-shop', region: 'EU', country: 'RO', active: true, pausedReason: null, pausedBy: null },
  ...{
    lastSyncedAt: ago(2),
    nextSyncAt: null,
    reading: null,
    lastWindow: null,
    orders: {},
    more: [],
    pausedApis: {},
  },
  inbox: { waiting: 0, incomplete: 0, failed: 0 },
  ...change,
});
const tracker = (change: Partial<TrackerOverview> = {}): TrackerOverview => ({
  ...{ name: 'velocity', title: 'Velocity', on: true, off: null, parcels: 10, neverAsked: 0 },
  ...{ oldestAskedAt: ago(5), statuses: {}, freshness: [10, 0, 0, 0], lastRun: null, nextRunAt: null },
  ...{ waitingUntil: null, waitingReason: null, stoppedAt: null, stoppedReason: null },
  ...{ feed: null, skippedAt: null, skippedReason: null },
  ...change,
});
const queue = (change: Partial<Overview['queues'][number]> = {}) => ({
  ...{
    queue: 'temu-orders',
    waiting: 0,
    active: 0,
    delayed: 0,
    failed: 0,
    paused: false,
    workers: 1,
    worker: 'temu' as const,
  },
  ...change,
});
const none: AttentionCounts = {
  ...{ risk: 0, parked: 0, failed: 0, incomplete: 0, errors: 0, unmatched: 0, longIncomplete: 0 },
};

interface Change {
  stores?: StoreOverview[];
  tracker?: TrackerOverview;
  queue?: Overview['queues'][number];
  counts?: Partial<AttentionCounts>;
  unmapped?: FleetState['unmapped'];
  notices?: FleetState['notices'];
  failedRuns?: FleetState['failedRuns'];
  silent?: Overview['silent'];
  untracked?: Overview['tracking']['untracked'];
}
const [fan, velocity] = ['fan-courier', 'velocity'].map((name) => {
  const courier = couriers.find((one) => one.name === name) as Courier;
  const off = name === 'velocity' ? undefined : 'noCredentials';
  return { name, courier, off, everyMs: courier.everyMs, connection: undefined } as unknown as Tracker;
}) as [Tracker, Tracker];
const notice = (change: Partial<OpenNotice> = {}): OpenNotice => ({
  ...{ kind: 'sync-gap', since: ago(60), text: 'my-shop: 9 of 10', order: null },
  ...change,
});
const failedRun = (failed: number, planned = 10) => ({
  tracker: 'velocity',
  planned,
  failed,
  why: 'HTTP 500',
});
const situation = (change: Change = {}): FleetState => ({
  overview: {
    stores: change.stores ?? [store()],
    tracking: {
      trackers: [change.tracker ?? tracker()],
      parcels: { followed: {}, changes: {}, lastChangeAt: null },
      openWords: 0,
      untracked: change.untracked ?? [],
    },
    queues: [change.queue ?? queue()],
    silent: change.silent ?? [],
  },
  counts: { ...none, ...change.counts },
  unmapped: change.unmapped ?? [],
  notices: change.notices ?? [],
  failedRuns: change.failedRuns ?? [],
  trackers: [fan, velocity],
  now: NOW,
});

const refused = (name: string) =>
  store({
    name,
    active: false,
    pausedBy: 'temu',
    pausedReason: 'Temu refused the store (3000034); authorise it again',
  });

describe('O3: what needs attention', () => {
  test.each<[string, Change, 'action' | 'info', string, string | undefined]>([
    [
      'orders at risk',
      { counts: { risk: 2 } },
      'action',
      '2 orders are due to ship within two hours or overdue, with no AWB on Temu',
      '/orders?show=risk',
    ],
    [
      'rejected AWBs',
      { counts: { parked: 1 } },
      'action',
      'Temu rejected 1 tracking number',
      '/orders?show=parked',
    ],
    [
      'AWBs without order',
      { counts: { unmatched: 3 } },
      'action',
      '3 AWBs have had no matching order for a day',
      '/orders?show=unmatched',
    ],
    [
      'orders set aside',
      { counts: { failed: 1 } },
      'action',
      '1 order could not be saved',
      '/orders?show=failed',
    ],
    [
      'incomplete since today',
      { counts: { incomplete: 4 } },
      'info',
      '4 orders are incomplete',
      '/orders?show=incomplete',
    ],
    [
      'incomplete for days',
      { counts: { incomplete: 4, longIncomplete: 4 } },
      ...(['action', '4 orders have been incomplete', '/orders?show=incomplete'] as const),
    ],
    ['a refused store', { stores: [refused('my-shop')] }, 'action', 'Store “my-shop” is paused', undefined],
    [
      'many refused stores',
      { stores: ['a', 'b', 'c', 'd', 'e'].map((name) => refused(name)) },
      'action',
      '5 stores are paused: “a”, “b”, “c” and 2 more',
      '#stores',
    ],
    [
      'a store paused by hand',
      { stores: [store({ active: false, pausedBy: 'operator', pausedReason: 'Temu asks for holidays' })] },
      'info',
      'paused: Temu asks for holidays',
      undefined,
    ],
    [
      'a store that cannot be read',
      { stores: [store({ reading: { since: ago(1), attempts: 2, error: 'HTTP 503' } })] },
      ...(['info', 'is failing to sync: HTTP 503', '#stores'] as const),
    ],
    [
      'a store that is not read',
      { stores: [store({ lastSyncedAt: ago(20) })] },
      'info',
      'last synced 20 min ago',
      '#stores',
    ],
    [
      'a closed API',
      { stores: [store({ pausedApis: { 'bg.order.amount.query': 'no scope' } })] },
      'info',
      'Temu denies the store “my-shop” access to bg.order.amount.query',
      '#stores',
    ],
    [
      'a stopped courier',
      { tracker: tracker({ stoppedAt: ago(90), stoppedReason: '401' }) },
      'action',
      'Velocity has rejected our credentials for 2 h: 401',
      '#couriers',
    ],
    [
      'E7: a feed that fails, once parcels are polled by number',
      { tracker: tracker({ feed: { failingSince: ago(90), why: 'HTTP 400', byNumber: true } }) },
      'info',
      'The feed of Velocity has failed for 2 h: HTTP 400',
      '#couriers',
    ],
    [
      'a courier behind',
      { tracker: tracker({ oldestAskedAt: ago(30) }) },
      'info',
      'Velocity is behind',
      '#couriers',
    ],
    [
      'E10: parcels that nobody tracks, and what would switch it on',
      { untracked: [{ bookingCourier: 'fancourier', tracker: 'fan-courier', parcels: 3 }] },
      'info',
      '3 parcels booked with “fancourier” are not tracked',
      '#couriers',
    ],
    [
      'a courier that answers nobody',
      { failedRuns: [failedRun(10)] },
      ...(['action', 'The last run of Velocity failed for 10 of 10 parcels: HTTP 500', '#couriers'] as const),
    ],
    [
      'one that answers most',
      { failedRuns: [failedRun(3)] },
      'info',
      'failed for 3 of 10 parcels',
      '#couriers',
    ],
    [
      'one that answers nobody and is behind',
      { failedRuns: [failedRun(10)], tracker: tracker({ oldestAskedAt: ago(60) }) },
      ...(['action', 'failed for 10 of 10', '#couriers'] as const),
    ],
    [
      'an unmapped status',
      { unmapped: [{ tracker: 'velocity', word: 'ON DRONE', count: 2 }] },
      'action',
      '1 unmapped courier status: “ON DRONE”',
      '#words',
    ],
    [
      'jobs without a worker',
      { queue: queue({ waiting: 7, workers: 0 }) },
      'action',
      'No worker is running for the 7 jobs in temu-orders',
      '/queues/queue/temu-orders',
    ],
    [
      'failed jobs',
      { queue: queue({ failed: 2 }) },
      'info',
      '2 jobs in temu-orders failed',
      '/queues/queue/temu-orders?status=failed',
    ],
    [
      'a queue that does not answer',
      { silent: [{ queue: 'notices', why: 'no answer within 2 s' }] },
      ...(['action', '1 queue does not respond: notices', undefined] as const),
    ],
    ['news', { notices: [notice()] }, 'info', 'my-shop: 9 of 10 (60 min ago)', undefined],
    [
      'news of an order',
      {
        notices: [
          notice({ kind: 'unknown-country', text: 'Narnia', order: 'PO/1' }),
          notice({ kind: 'unknown-country' }),
        ],
      },
      ...(['info', 'Narnia', '/orders/PO%2F1'] as const),
    ],
    [
      'a webhook that stopped long ago',
      { notices: [notice({ kind: 'webhook-stopped', since: ago(7 * 24 * 60) })] },
      ...(['action', 'my-shop', undefined] as const),
    ],
  ])('%s', (_, change, severity, what, href) => {
    const found = attentionItems(situation(change));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ severity, what: expect.stringContaining(what) });
    expect(found[0]?.todo).not.toBe('');
    expect(found[0]?.link?.href).toBe(href);
  });

  test.each<[string, Change]>([
    ['there are no issues', {}],
    ['a store is at its first sync', { stores: [store({ lastSyncedAt: null })] }],
    [
      'a store is being read',
      { stores: [store({ lastSyncedAt: ago(20), reading: { since: ago(3), attempts: 1, error: null } })] },
    ],
    ['a courier is cooling down', { tracker: tracker({ oldestAskedAt: ago(60), waitingUntil: ago(-5) }) }],
    [
      'a courier is off',
      {
        tracker: tracker({ on: false, off: 'no credentials', oldestAskedAt: ago(9999) }),
        failedRuns: [failedRun(10)],
      },
    ],
    ['a queue without workers has no work', { queue: queue({ workers: 0 }) }],
    ['a notice is old', { notices: [notice({ since: ago(25 * 60) })] }],
  ])('none while %s', (_, change) => {
    expect(attentionItems(situation(change))).toEqual([]);
  });

  test('what does not resolve itself comes first; notices of a kind are one item', () => {
    const notices = [1, 2, 3, 4, 5].map((nth) => notice({ since: ago(nth), text: `shop-${nth}` }));
    const found = attentionItems(
      situation({ notices, counts: { incomplete: 1 }, queue: queue({ waiting: 1, workers: 0 }) }),
    );
    expect(found.map(({ severity }) => severity)).toEqual(['action', 'info', 'info']);
    expect(found[2]?.what).toBe('shop-1 · shop-2 · shop-3 · and 2 more (60 s ago)');
  });

  test.each<[string, Change, 'ok' | 'warn' | 'bad', string]>([
    ['no issues', {}, 'ok', 'All systems normal'],
    ['one thing', { counts: { risk: 9 } }, 'bad', '1 issue needs you'],
    ['several', { counts: { risk: 1, parked: 1, incomplete: 1 } }, 'bad', '2 issues need you · 1 warning'],
    ['only a warning', { counts: { incomplete: 1 } }, 'warn', 'No issues · 1 warning'],
    [
      'nothing set up',
      { stores: [], tracker: tracker({ on: false, off: 'no credentials' }) },
      'warn',
      'Nothing to do yet',
    ],
  ])('O3: the sentence at the top: %s', (_, change, tone, text) => {
    const now = situation(change);
    const found = headline(attentionItems(now), now.overview);
    expect(found.tone).toBe(tone);
    expect(found.text).toContain(text);
  });
});

test('E7: the table of couriers says since when a feed fails and why, also before parcels are polled by number', () => {
  const page = (byNumber: boolean) => {
    const feed = { failingSince: ago(90), why: 'HTTP 400 <b>', byNumber };
    return Couriers({ trackers: [tracker({ feed })], now: NOW })
      .toString()
      .replace(/<[^>]*>/g, '');
  };
  expect(page(false)).toMatch(/feed fails first .*2 h ago.*: HTTP 400 &lt;b&gt;(?!; parcels)/);
  expect(page(true)).toContain('HTTP 400 &lt;b&gt;; parcels are polled by number');
});
