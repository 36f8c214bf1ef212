import { describe, expect, test } from 'vitest';
import type { OpenNotice } from '../../src/alerts/index.ts';
import type { Overview } from '../../src/overview.ts';
import type { StoreOverview } from '../../src/temu/overview.ts';
import type { TroubleCounts } from '../../src/temu/trouble.ts';
import type { TrackerOverview } from '../../src/tracking/index.ts';
import type { Situation } from '../../src/web/pages/matter.ts';
import { matters, verdict } from '../../src/web/pages/matters.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const MINUTE = 60_000;
const ago = (minutes: number) => new Date(NOW - minutes * MINUTE);

const store = (change: Partial<StoreOverview> = {}): StoreOverview => ({
  ...{ name: 'my-shop', region: 'EU', country: 'RO', active: true, pausedReason: null, pausedBy: null },
  ...{ lastSyncedAt: ago(2), nextSyncAt: null, reading: null, lastWindow: null, orders: {}, pausedApis: {} },
  inbox: { waiting: 0, incomplete: 0, failed: 0 },
  ...change,
});
const tracker = (change: Partial<TrackerOverview> = {}): TrackerOverview => ({
  ...{ name: 'velocity', title: 'Velocity', on: true, off: null, parcels: 10, neverAsked: 0 },
  ...{ oldestAskedAt: ago(5), statuses: {}, freshness: [10, 0, 0, 0], lastRun: null, nextRunAt: null },
  ...{ waitingUntil: null, waitingReason: null, stoppedAt: null, stoppedReason: null },
  ...{ skippedAt: null, skippedReason: null },
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
const none: TroubleCounts = {
  ...{ risk: 0, parked: 0, failed: 0, incomplete: 0, errors: 0, unmatched: 0, longIncomplete: 0 },
  timeLeft: [0, 0, 0, 0, 0, 0, 0],
};

interface Change {
  stores?: StoreOverview[];
  tracker?: TrackerOverview;
  queue?: Overview['queues'][number];
  troubles?: Partial<TroubleCounts>;
  words?: Situation['words'];
  notices?: Situation['notices'];
  rounds?: Situation['rounds'];
  silent?: Overview['silent'];
}
const notice = (change: Partial<OpenNotice> = {}): OpenNotice => ({
  ...{ kind: 'sync-gap', since: ago(60), text: 'my-shop: 9 of 10', order: null },
  ...change,
});
const round = (failed: number, planned = 10) => ({ tracker: 'velocity', planned, failed, why: 'HTTP 500' });
const situation = (change: Change = {}): Situation => ({
  overview: {
    stores: change.stores ?? [store()],
    tracking: {
      trackers: [change.tracker ?? tracker()],
      parcels: { followed: {}, changes: {}, lastChangeAt: null },
      openWords: 0,
    },
    queues: [change.queue ?? queue()],
    silent: change.silent ?? [],
  },
  troubles: { ...none, ...change.troubles },
  words: change.words ?? [],
  notices: change.notices ?? [],
  rounds: change.rounds ?? [],
  roundMs: new Map([['velocity', 8 * MINUTE]]),
  now: NOW,
});

const refused = (name: string) =>
  store({
    name,
    active: false,
    pausedBy: 'temu',
    pausedReason: 'Temu refused the store (3000034); authorise it again',
  });

describe('O3: what needs a person', () => {
  test.each<[string, Change, 'act' | 'look', string, string | undefined]>([
    ['orders at risk', { troubles: { risk: 2 } }, 'act', '2 orders must ship', '/orders?show=risk'],
    ['AWBs not taken', { troubles: { parked: 1 } }, 'act', '1 AWB was not taken', '/orders?show=parked'],
    ['AWBs without order', { troubles: { unmatched: 3 } }, 'act', '3 AWBs', '/orders?show=unmatched'],
    ['orders set aside', { troubles: { failed: 1 } }, 'act', '1 order could not', '/orders?show=failed'],
    [
      'incomplete since today',
      { troubles: { incomplete: 4 } },
      'look',
      '4 orders are',
      '/orders?show=incomplete',
    ],
    [
      'incomplete for days',
      { troubles: { incomplete: 4, longIncomplete: 4 } },
      ...(['act', '4 orders have been incomplete', '/orders?show=incomplete'] as const),
    ],
    ['a refused store', { stores: [refused('my-shop')] }, 'act', 'Store “my-shop” is paused', undefined],
    [
      'many refused stores',
      { stores: ['a', 'b', 'c', 'd', 'e'].map((name) => refused(name)) },
      'act',
      '5 stores are paused: “a”, “b”, “c” and 2 more',
      '#stores',
    ],
    [
      'a store paused by hand',
      { stores: [store({ active: false, pausedBy: 'operator', pausedReason: 'Temu asks for holidays' })] },
      'look',
      'paused: Temu asks for holidays',
      undefined,
    ],
    [
      'a store that cannot be read',
      { stores: [store({ reading: { since: ago(1), attempts: 2, error: 'HTTP 503' } })] },
      ...(['look', 'cannot be read for now: HTTP 503', '#stores'] as const),
    ],
    [
      'a store that is not read',
      { stores: [store({ lastSyncedAt: ago(20) })] },
      'look',
      'last read 20 min ago',
      '#stores',
    ],
    [
      'a closed API',
      { stores: [store({ pausedApis: { 'bg.order.amount.query': 'no scope' } })] },
      'look',
      'bg.order.amount.query',
      '#stores',
    ],
    [
      'a stopped courier',
      { tracker: tracker({ stoppedAt: ago(90), stoppedReason: '401' }) },
      'act',
      'Velocity refuses our credentials since 2 h: 401',
      '#couriers',
    ],
    [
      'a courier behind',
      { tracker: tracker({ oldestAskedAt: ago(30) }) },
      'look',
      'Velocity is behind',
      '#couriers',
    ],
    [
      'a courier that answers nobody',
      { rounds: [round(10)] },
      ...(['act', 'The last round of Velocity failed for 10 of 10 parcels: HTTP 500', '#couriers'] as const),
    ],
    ['one that answers most', { rounds: [round(3)] }, 'look', 'failed for 3 of 10 parcels', '#couriers'],
    [
      'one that answers nobody and is behind',
      { rounds: [round(10)], tracker: tracker({ oldestAskedAt: ago(60) }) },
      ...(['act', 'failed for 10 of 10', '#couriers'] as const),
    ],
    [
      'a word',
      { words: [{ tracker: 'velocity', word: 'ON DRONE', count: 2 }] },
      'act',
      '“ON DRONE”',
      '#words',
    ],
    [
      'jobs without a worker',
      { queue: queue({ waiting: 7, workers: 0 }) },
      'act',
      'No worker takes the 7 jobs of temu-orders',
      '/queues/queue/temu-orders',
    ],
    [
      'failed jobs',
      { queue: queue({ failed: 2 }) },
      'look',
      '2 jobs of temu-orders failed',
      '/queues/queue/temu-orders?status=failed',
    ],
    [
      'a queue that does not answer',
      { silent: [{ queue: 'notices', why: 'no answer within 2 s' }] },
      ...(['act', '1 queue does not answer: notices', undefined] as const),
    ],
    ['news', { notices: [notice()] }, 'look', 'my-shop: 9 of 10 (60 min ago)', undefined],
    [
      'news of an order',
      {
        notices: [
          notice({ kind: 'unknown-country', text: 'Narnia', order: 'PO/1' }),
          notice({ kind: 'unknown-country' }),
        ],
      },
      ...(['look', 'Narnia', '/orders/PO%2F1'] as const),
    ],
    [
      'a webhook that stopped long ago',
      { notices: [notice({ kind: 'webhook-stopped', since: ago(7 * 24 * 60) })] },
      ...(['act', 'my-shop', undefined] as const),
    ],
  ])('%s', (_, change, urgency, what, href) => {
    const found = matters(situation(change));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ urgency, what: expect.stringContaining(what) });
    expect(found[0]?.todo).not.toBe('');
    expect(found[0]?.link?.href).toBe(href);
  });

  test.each<[string, Change]>([
    ['nothing is the matter', {}],
    ['a store is at its first sync', { stores: [store({ lastSyncedAt: null })] }],
    [
      'a store is being read',
      { stores: [store({ lastSyncedAt: ago(20), reading: { since: ago(3), attempts: 1, error: null } })] },
    ],
    ['a courier told us to wait', { tracker: tracker({ oldestAskedAt: ago(60), waitingUntil: ago(-5) }) }],
    [
      'a courier is off',
      {
        tracker: tracker({ on: false, off: 'no credentials', oldestAskedAt: ago(9999) }),
        rounds: [round(10)],
      },
    ],
    ['a queue without workers has no work', { queue: queue({ workers: 0 }) }],
    ['a notice is old', { notices: [notice({ since: ago(25 * 60) })] }],
  ])('none while %s', (_, change) => {
    expect(matters(situation(change))).toEqual([]);
  });

  test('what does not mend itself comes first; news of a kind are one matter', () => {
    const notices = [1, 2, 3, 4, 5].map((nth) => notice({ since: ago(nth), text: `shop-${nth}` }));
    const found = matters(
      situation({ notices, troubles: { incomplete: 1 }, queue: queue({ waiting: 1, workers: 0 }) }),
    );
    expect(found.map(({ urgency }) => urgency)).toEqual(['act', 'look', 'look']);
    expect(found[2]?.what).toBe('shop-1 · shop-2 · shop-3 · and 2 more (60 s ago)');
  });

  test.each<[string, Change, 'ok' | 'warn' | 'bad', string]>([
    ['all is well', {}, 'ok', 'All is well'],
    ['one thing', { troubles: { risk: 9 } }, 'bad', '1 thing needs a person'],
    [
      'several',
      { troubles: { risk: 1, parked: 1, incomplete: 1 } },
      'bad',
      '2 things need a person, 1 is worth a look',
    ],
    ['only a look', { troubles: { incomplete: 1 } }, 'warn', 'All is well, 1 thing is worth a look'],
    [
      'nothing set up',
      { stores: [], tracker: tracker({ on: false, off: 'no credentials' }) },
      'warn',
      'Nothing to do yet',
    ],
  ])('O3: the sentence at the top: %s', (_, change, tone, text) => {
    const now = situation(change);
    const found = verdict(matters(now), now.overview);
    expect(found.tone).toBe(tone);
    expect(found.text).toContain(text);
  });
});
