import { expect, test } from 'vitest';
import type { Status } from '../../src/tracking/engine/status.ts';
import { type HistoryEvent, readHistory } from '../../src/tracking/toolkit/history.ts';

const time = (hour: number) => new Date(Date.UTC(2026, 8, 1, hour));
const event = (means: Status | undefined, at: number | null, about?: number): HistoryEvent => ({
  ...{ rawStatus: 'X', courierStatus: 'x', means, at: at === null ? null : time(at) },
  ...(about === undefined ? {} : { about: time(about) }),
});

test('E2: an event whose zone is unknown has its place in the history, and no time', () => {
  const history = [
    event('in_transit', 1),
    event('out_for_delivery', null, 9),
    event('ndr', null, 12),
    event('out_for_delivery', null, 33),
  ];
  for (const list of [history, history.toReversed()])
    expect(readHistory(list)).toMatchObject({ means: 'out_for_delivery', at: null });
  expect(readHistory([...history, event('delivered', 35)])).toMatchObject({
    means: 'delivered',
    at: time(35),
    deliveredAt: time(35),
  });
  // without a place it is older than all others
  expect(readHistory([event('in_transit', 1), event('out_for_delivery', null)])?.means).toBe('in_transit');
});

test('C6: so does an unmapped one', () => {
  const before = { means: 'in_transit', at: time(1) };
  expect(readHistory([event('in_transit', 1), event(undefined, null, 9)])).toMatchObject({
    at: null,
    before,
  });
  expect(readHistory([event('in_transit', 9), event(undefined, null, 1)])).toMatchObject({
    means: 'in_transit',
  });
});
