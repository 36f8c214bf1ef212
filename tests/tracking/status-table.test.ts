import fc from 'fast-check';
import { expect, test } from 'vitest';
import { normalizeStatus, statusTable } from '../../src/tracking/toolkit/status-table.ts';

test.each([
  ['In Transit', 'IN_TRANSIT'],
  ['in-transit', 'IN_TRANSIT'],
  ['in_transit', 'IN_TRANSIT'],
  ['  Out  For \t Delivery. ', 'OUT_FOR_DELIVERY'],
  ['RTO – In Transit!', 'RTO_IN_TRANSIT'],
  ['Pickup Scheduled/Generated', 'PICKUP_SCHEDULEDGENERATED'],
  ['Livrat la adresă', 'LIVRAT_LA_ADRESĂ'],
  ['__proto__', 'PROTO'],
  ['—', ''],
  ['', ''],
])('C6: %j is looked up as %j', (raw, word) => {
  expect(normalizeStatus(raw)).toBe(word);
});

test('C6: what is looked up is its own form, and short', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (raw) => {
      const word = normalizeStatus(raw);
      expect(word.length).toBeLessThanOrEqual(60);
      expect(word).toMatch(/^[\p{L}\p{N}_]*$/u);
    }),
  );
});

test('a table gives each word its meaning and knows no others', () => {
  const table = statusTable({ in_transit: 'IN_TRANSIT\n  PICKED_UP', unchanged: 'MANIFESTED' });
  expect([...table]).toEqual([
    ['IN_TRANSIT', 'in_transit'],
    ['PICKED_UP', 'in_transit'],
    ['MANIFESTED', 'unchanged'],
  ]);
  expect(table.get('CONSTRUCTOR')).toBeUndefined();
});

test('a table refuses two meanings of one word, and a status that does not exist', () => {
  expect(() => statusTable({ lost: 'GONE', rto: 'HOME GONE' })).toThrow(
    'GONE is mapped to both lost and rto',
  );
  expect(() => statusTable({ ['lots' as 'lost']: 'GONE' })).toThrow('no such status: lots');
});
