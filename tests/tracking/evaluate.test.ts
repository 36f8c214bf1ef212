import { describe, expect, test } from 'vitest';
import {
  evaluateScan,
  type Parcel,
  type StatusMappings,
  type StatusUpdate,
} from '../../src/tracking/engine/evaluate.ts';
import type { Status } from '../../src/tracking/engine/status.ts';
import type { Item, Scan } from '../../src/tracking/toolkit/courier.ts';

const HOUR = 3_600_000;
const NOW = Date.UTC(2026, 10, 22, 12);
const NONE: StatusMappings = new Map();

const parcel = (change: Partial<Parcel> = {}): Parcel => ({
  id: 'a',
  orderId: 'o',
  number: '1234',
  orderNumber: 'ORD-1',
  source: 'shopify',
  bookedAt: NOW - 72 * HOUR,
  status: 'pending',
  statusAt: null,
  statusSeen: {},
  courierStatus: null,
  unmappedWord: null,
  pickedUpAt: null,
  deliveredAt: null,
  rtoStartedAt: null,
  linkedTo: null,
  link: null,
  ...change,
});
/** A parcel with a status since then. */
const standing = (status: Status, at: number) =>
  parcel({ status, statusAt: at, statusSeen: { [status]: at }, courierStatus: 'before' });
const scan = (means: Scan['means'], change: Partial<Scan> = {}): Scan => ({
  is: 'scan',
  rawStatus: 'WORD',
  courierStatus: 'word',
  means,
  at: new Date(NOW - HOUR),
  ...change,
});
const verdict = (item: Item | undefined, of = parcel(), rulings = NONE) =>
  evaluateScan(of, item, NOW, rulings);

describe('C9: no such parcel', () => {
  test.each<[string, Item | undefined]>([
    ['the answer is silent about it', undefined],
    ['the answer says so', { is: 'notFound' }],
  ])('%s', (_, item) => {
    expect(verdict(item)).toEqual({ is: 'notFound' });
  });

  const ended = (onlyAfterMs?: number): Item => ({
    is: 'ended',
    why: 'gone',
    ...(onlyAfterMs === undefined ? {} : { onlyAfterMs }),
  });
  test.each<[string, number, number | undefined, string]>([
    ['an end is an end for a young one, too', 1, undefined, 'ended'],
    ['what old ones alone can be: not for one of 47 hours', 47, 48 * HOUR, 'notFound'],
    ['nor of 48 hours', 48, 48 * HOUR, 'notFound'],
    ['but of 49 hours', 49, 48 * HOUR, 'ended'],
  ])('%s', (_, hours, onlyAfterMs, is) => {
    expect(verdict(ended(onlyAfterMs), parcel({ bookedAt: NOW - hours * HOUR })).is).toBe(is);
  });
});

describe('C8: the reference', () => {
  test.each<[string | null | undefined, string]>([
    [undefined, 'updated'],
    ['ORD-1', 'updated'],
    ['ord-1-C2', 'updated'],
    ['ORD-2', 'mismatched'],
    // it says nothing, so it contradicts nothing
    ['', 'updated'],
    ['  ', 'updated'],
    [null, 'updated'],
  ])('%s: %s', (reference, is) => {
    expect(verdict(scan('in_transit', reference === undefined ? {} : { reference })).is).toBe(is);
  });
  test('goes before everything: of another order’s parcel no word is kept', () => {
    expect(verdict(scan(undefined, { reference: 'ORD-2' }))).toEqual({ is: 'mismatched' });
    expect(verdict(scan('unchanged', { reference: 'ORD-2' }))).toEqual({ is: 'mismatched' });
  });
});

describe('C6: words', () => {
  test('one that changes nothing', () => {
    expect(verdict(scan('unchanged'), standing('in_transit', NOW - 9 * HOUR))).toEqual({ is: 'unchanged' });
  });
  test('one that no table has', () => {
    expect(verdict(scan(undefined))).toMatchObject({ is: 'unmapped', rawStatus: 'WORD', at: NOW - HOUR });
    expect(verdict(scan(undefined, { at: null }))).toMatchObject({ is: 'unmapped', at: null });
  });
  test('one that a person has settled', () => {
    expect(verdict(scan(undefined), parcel(), new Map([['WORD', 'ndr']]))).toMatchObject({
      is: 'updated',
      update: { status: 'ndr' },
    });
    expect(verdict(scan(undefined), parcel(), new Map([['WORD', 'unchanged']]))).toEqual({ is: 'unchanged' });
    expect(verdict(scan(undefined), parcel(), new Map([['OTHER', 'ndr']])).is).toBe('unmapped');
  });
  test('the table counts before a person’s ruling', () => {
    expect(verdict(scan('lost'), parcel(), new Map([['WORD', 'ndr']]))).toMatchObject({
      update: { status: 'lost' },
    });
  });
});

describe('C7: forward only', () => {
  const at = NOW - 10 * HOUR;
  test.each<[Status, Status, number, 'updated' | 'unchanged', Status]>([
    ['pending', 'in_transit', 1, 'updated', 'in_transit'],
    ['in_transit', 'delivered', 1, 'updated', 'delivered'],
    ['in_transit', 'out_for_delivery', -1, 'unchanged', 'in_transit'],
    ['in_transit', 'in_transit', 1, 'unchanged', 'in_transit'],
    ['in_transit', 'pending', 1, 'unchanged', 'in_transit'],
    ['out_for_delivery', 'in_transit', 1, 'updated', 'in_transit'],
    ['out_for_delivery', 'ndr', 1, 'updated', 'ndr'],
    ['ndr', 'out_for_delivery', 1, 'updated', 'out_for_delivery'],
    ['lost', 'in_transit', 1, 'updated', 'in_transit'],
    ['lost', 'in_transit', -1, 'unchanged', 'lost'],
    ['delivered', 'rto_in_transit', 1, 'updated', 'rto_in_transit'],
    ['delivered', 'rto_in_transit', -1, 'unchanged', 'delivered'],
    ['delivered', 'out_for_delivery', 1, 'unchanged', 'delivered'],
    ['rto', 'delivered', 1, 'unchanged', 'rto'],
    ['booking_cancelled', 'in_transit', 1, 'unchanged', 'booking_cancelled'],
    ['destroyed', 'in_transit', 1, 'unchanged', 'destroyed'],
  ])('%s, then %s after %i h: %s, %s', (from, to, hours, is, becomes) => {
    const result = verdict(scan(to, { at: new Date(at + hours * HOUR) }), standing(from, at));
    expect(result).toMatchObject({ is, update: { status: becomes, changed: is === 'updated' } });
    // what is stale is not shown as the courier's word either
    const shown = becomes === to && hours > 0 ? 'word' : from === to ? 'word' : 'before';
    expect(result).toMatchObject({ update: { courierStatus: shown } });
  });

  describe('a word without a time, or with one that cannot be read, is never newer than what is known', () => {
    const timeless = (means: Status, of: Parcel) => verdict(scan(means, { at: null }), of);

    test.each<[Status, Status, 'updated' | 'unchanged', Status]>([
      ['pending', 'in_transit', 'updated', 'in_transit'],
      ['in_transit', 'out_for_delivery', 'updated', 'out_for_delivery'],
      ['out_for_delivery', 'ndr', 'updated', 'ndr'],
      ['ndr', 'delivered', 'updated', 'delivered'],
      ['in_transit', 'in_transit', 'unchanged', 'in_transit'],
      // the ways back need a newer time
      ['out_for_delivery', 'in_transit', 'unchanged', 'out_for_delivery'],
      ['ndr', 'out_for_delivery', 'unchanged', 'ndr'],
      ['delivered', 'rto_in_transit', 'unchanged', 'delivered'],
      ['lost', 'in_transit', 'unchanged', 'lost'],
    ])('%s, then %s: %s, %s', (from, to, is, becomes) => {
      const result = timeless(to, standing(from, at));
      expect(result).toMatchObject({ is, update: { status: becomes, changed: is === 'updated' } });
      // when it was heard of is all that is known of a change
      expect(result).toMatchObject({ update: { at: is === 'updated' ? NOW : at } });
    });

    test('the first word of all leads on, and gives way to any scan with a time after the booking', () => {
      const first = timeless('in_transit', parcel());
      expect(first).toMatchObject({ is: 'updated', update: { at: NOW, pickedUpAt: NOW } });
      const { seen } = (first as { update: { seen: Parcel['statusSeen'] } }).update;
      const then = parcel({ status: 'in_transit', statusAt: NOW, statusSeen: seen });
      const out = scan('out_for_delivery', { at: new Date(NOW - 5 * HOUR) });
      const heard = evaluateScan(then, out, NOW + HOUR, NONE);
      expect(heard).toMatchObject({
        is: 'updated',
        update: { status: 'out_for_delivery', at: NOW - 5 * HOUR },
      });
    });

    test('nor does it move a parcel whose status came from elsewhere, but forward', () => {
      const imported = parcel({ status: 'out_for_delivery' });
      expect(timeless('in_transit', imported)).toMatchObject({ is: 'unchanged' });
      expect(timeless('delivered', imported)).toMatchObject({ is: 'updated', update: { deliveredAt: NOW } });
    });

    test('told again it says nothing new', () => {
      const once = timeless('delivered', standing('in_transit', at));
      const { status, at: since, seen } = (once as { update: StatusUpdate }).update;
      const again = evaluateScan(
        parcel({ status, statusAt: since, statusSeen: seen }),
        scan('delivered', { at: null }),
        NOW + HOUR,
        NONE,
      );
      expect(again).toMatchObject({ is: 'unchanged', update: { at: NOW, changed: false } });
    });
  });

  test('milestones: what the courier gives, else the time of the change', () => {
    const given = new Date(at);
    expect(verdict(scan('delivered', { pickedUpAt: given, deliveredAt: given }))).toMatchObject({
      update: { pickedUpAt: at, deliveredAt: at, rtoStartedAt: null },
    });
    expect(verdict(scan('delivered'))).toMatchObject({
      update: { pickedUpAt: null, deliveredAt: NOW - HOUR },
    });
    expect(verdict(scan('in_transit'))).toMatchObject({
      update: { pickedUpAt: NOW - HOUR, deliveredAt: null },
    });
    expect(verdict(scan('rto_in_transit'))).toMatchObject({ update: { rtoStartedAt: NOW - HOUR } });
    expect(verdict(scan('rto'))).toMatchObject({ update: { rtoStartedAt: NOW - HOUR, deliveredAt: null } });
  });
});
