import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isNewer, STATUSES } from '../../src/tracking/engine/status.ts';
import { type HistoryEvent, readHistory } from '../../src/tracking/toolkit/history.ts';
import type { Meaning } from '../../src/tracking/toolkit/status-table.ts';

const HOUR = 3_600_000;
const time = (hour: number) => new Date(Date.UTC(2026, 2, 1) + hour * HOUR);

/** "in_transit@3" happened at three o'clock; "@-" has no time; "new" is unmapped. "*" behind it: the pickup. */
function event(said: string): HistoryEvent {
  const [meaning = '', at = '-'] = said.replace('*', '').split('@');
  return {
    rawStatus: meaning.toUpperCase(),
    courierStatus: meaning,
    means: meaning === 'new' ? undefined : (meaning as Meaning),
    at: at === '-' ? null : time(Number(at)),
    ...(said.endsWith('*') && { isPickup: true }),
  };
}
const read = (said: string) => readHistory(said.split(' ').filter(Boolean).map(event));

describe('E5, E6: what a history says', () => {
  test.each<[history: string, means: Meaning, hour: number | null]>([
    ['pending@1', 'pending', 1],
    ['pending@1 in_transit@2 out_for_delivery@3 delivered@4', 'delivered', 4],
    // newest first, and without any order
    ['delivered@4 out_for_delivery@3 in_transit@2 pending@1', 'delivered', 4],
    ['out_for_delivery@3 delivered@4 pending@1 in_transit@2', 'delivered', 4],
    // loops of attempts, and the legal ways back
    ['out_for_delivery@1 ndr@2 out_for_delivery@3 ndr@4', 'ndr', 4],
    ['out_for_delivery@1 ndr@2 out_for_delivery@3', 'out_for_delivery', 3],
    ['out_for_delivery@1 in_transit@2', 'in_transit', 2],
    ['ndr@1 ready_for_pickup@2', 'ready_for_pickup', 2],
    // back in the depot after a failed attempt: no way back
    ['ndr@1 in_transit@2', 'ndr', 1],
    ['ready_for_pickup@1 out_for_delivery@2', 'out_for_delivery', 2],
    // of one moment: the one further along, whatever the list's order
    ['ndr@1 out_for_delivery@1', 'ndr', 1],
    ['delivered@1 in_transit@1', 'delivered', 1],
    // the status is the same, the time the newest
    ['in_transit@1 in_transit@5 in_transit@3', 'in_transit', 5],
    // what is final stays
    ['delivered@1 in_transit@2 ndr@3', 'delivered', 1],
    ['booking_cancelled@1 in_transit@2', 'booking_cancelled', 1],
    ['lost@1 in_transit@2', 'in_transit', 2],
    // E5: delivered behind a return
    ['ndr@1 rto_in_transit@2', 'rto_in_transit', 2],
    ['ndr@1 rto_in_transit@2 delivered@3', 'rto', 3],
    ['delivered@3 rto_in_transit@2 ndr@1', 'rto', 3],
    ['rto_in_transit@1 out_for_delivery@2 delivered@3', 'rto', 3],
    ['delivered@1 rto_in_transit@2', 'rto_in_transit', 2],
    ['delivered@1 rto_in_transit@2 delivered@3', 'rto', 3],
    ['delivered@1 rto@2', 'rto', 2],
    ['rto@1 delivered@2', 'rto', 1],
    // E6: what changes nothing is passed over, also at the end
    ['delivered@1 unchanged@9', 'delivered', 1],
    ['unchanged@1 in_transit@2 unchanged@3', 'in_transit', 2],
    ['unchanged@1 unchanged@2', 'unchanged', 2],
    // without a time: before all that have one
    ['in_transit@-', 'in_transit', null],
    ['delivered@- in_transit@2', 'delivered', null],
    ['ndr@- out_for_delivery@2', 'out_for_delivery', 2],
  ])('%s: %s', (history, means, hour) => {
    const at = hour === null ? null : time(hour);
    expect(read(history)).toMatchObject({ is: 'scan', means, at });
    expect(read(history)).not.toHaveProperty('before');
  });

  test('nothing says nothing', () => {
    expect(read('')).toBeUndefined();
  });

  test('milestones: the pickup, the first delivery, the beginning of the return', () => {
    expect(read('in_transit@5* in_transit@2* pending@1 delivered@7 delivered@6')).toMatchObject({
      pickedUpAt: time(2),
      deliveredAt: time(6),
      rtoStartedAt: null,
    });
    expect(read('delivered@9 rto_in_transit@4 rto_in_transit@3')).toMatchObject({
      means: 'rto',
      pickedUpAt: null,
      deliveredAt: null,
      rtoStartedAt: time(3),
    });
  });
});

describe('C6: unmapped events', () => {
  test.each<[history: string, before: Meaning, hour: number]>([
    ['in_transit@1 new@2', 'in_transit', 1],
    ['new@2 in_transit@1', 'in_transit', 1],
    ['delivered@1 new@2', 'delivered', 1],
    ['rto_in_transit@1 delivered@2 new@3', 'rto', 2],
    ['in_transit@1 new@2 unchanged@3', 'in_transit', 1],
  ])('%s: unmapped, with %s before it', (history, before, hour) => {
    expect(read(history)).toMatchObject({
      rawStatus: 'NEW',
      courierStatus: 'new',
      means: undefined,
      before: { is: 'scan', means: before, at: time(hour) },
    });
  });

  test.each(['new@1 in_transit@2', 'in_transit@1 new@1', 'in_transit@1 new@-'])(
    '%s: an older one is passed over',
    (history) => {
      expect(read(history)).toMatchObject({ means: 'in_transit' });
    },
  );

  test('alone: nothing was before', () => {
    expect(read('new@1')).toMatchObject({ rawStatus: 'NEW', means: undefined, at: time(1) });
    expect(read('new@1 unchanged@2')).not.toHaveProperty('before');
  });
});

describe('properties', () => {
  const meaning = fc.constantFrom<Meaning | undefined>(...STATUSES, 'unchanged', undefined);
  const eventAt = (hour: fc.Arbitrary<number | null>): fc.Arbitrary<HistoryEvent> =>
    fc.record({
      rawStatus: fc.stringMatching(/^[A-Z]{1,3}$/),
      courierStatus: fc.constant('x'),
      means: meaning,
      at: hour.map((one) => (one === null ? null : time(one))),
      isPickup: fc.boolean(),
    });
  const some = fc.oneof({ weight: 5, arbitrary: fc.nat(20) }, fc.constant(null));

  test('the order of the list does not matter but between events of one moment and rank', () => {
    const list = fc
      .array(eventAt(some), { maxLength: 12 })
      // two of one moment and rank are ties: one of them stays
      .map((events) =>
        events.filter(
          (one, index) => !events.slice(0, index).some((two) => !isNewer(one, two) && !isNewer(two, one)),
        ),
      );
    fc.assert(
      fc.property(
        list.chain((events) =>
          fc.tuple(fc.constant(events), fc.shuffledSubarray(events, { minLength: events.length })),
        ),
        ([events, shuffled]) => {
          expect(readHistory(shuffled)).toEqual(readHistory(events));
        },
      ),
    );
  });

  test('E5: once a return has begun, nothing is delivered', () => {
    fc.assert(
      fc.property(fc.array(eventAt(fc.nat(20)), { maxLength: 12 }), (events) => {
        const scan = readHistory(events);
        const known = scan?.before ?? scan;
        if (known?.means !== 'delivered') return;
        const returns = events.filter(({ means }) => means === 'rto_in_transit');
        expect(returns.filter((one) => one.at && known.at && one.at < known.at)).toEqual([]);
      }),
    );
  });

  test('E6: what changes nothing may be left out', () => {
    fc.assert(
      fc.property(fc.array(eventAt(some), { maxLength: 12 }), (events) => {
        // a pickup that changes nothing is still the pickup
        const plain = events.map((one) => ({ ...one, isPickup: false }));
        const without = plain.filter(({ means }) => means !== 'unchanged');
        fc.pre(without.length > 0);
        expect(readHistory(plain)).toEqual(readHistory(without));
      }),
    );
  });

  test('C6: unmapped events never change what is known', () => {
    fc.assert(
      fc.property(fc.array(eventAt(some), { maxLength: 12 }), (events) => {
        const mapped = events.filter(({ means }) => means !== undefined && means !== 'unchanged');
        fc.pre(mapped.length > 0);
        const scan = readHistory(events);
        const known = scan?.means === undefined ? scan?.before : scan;
        expect(known?.means).toBe(readHistory(mapped)?.means);
        expect(known?.at).toEqual(readHistory(mapped)?.at);
      }),
    );
  });
});
