import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matchesOrderNumber } from '../../src/tracking/engine/reference.ts';

test.each([
  ['ORD-1001', 'ORD-1001'],
  ['ord-1001', 'ORD-1001'],
  [' ORD-1001 ', 'ORD-1001'],
  ['ORD-1001-C', 'ORD-1001'],
  ['ORD-1001-c', 'ORD-1001'],
  ['ORD-1001-C1', 'ORD-1001'],
  ['ORD-1001-c12', 'ord-1001'],
  ['ORD-1001-k', 'ORD-1001'],
  ['ORD-1001-K', 'ORD-1001'],
  ['ORD-1001-r', 'ORD-1001'],
  ['ORD-1001-R', 'ORD-1001'],
  ['#1001', '#1001'],
  // an order whose own number ends like a suffix, and its rebooking
  ['A-C1', 'A-C1'],
  ['A-C1-C2', 'A-C1'],
])('C8: %s is order %s', (reference, order) => {
  expect(matchesOrderNumber(reference, order)).toBe(true);
});

test.each([
  ['', 'ORD-1001'],
  ['-C1', 'ORD-1001'],
  ['ORD-1002', 'ORD-1001'],
  ['ORD-10010', 'ORD-1001'],
  ['XORD-1001', 'ORD-1001'],
  ['ORD-1001C1', 'ORD-1001'],
  ['ORD-1001-X', 'ORD-1001'],
  ['ORD-1001-k1', 'ORD-1001'],
  ['ORD-1001-r2', 'ORD-1001'],
  ['ORD-1001-C-1', 'ORD-1001'],
  // the suffix belongs to the courier's side
  ['ORD-1001', 'ORD-1001-C1'],
])('C8: %s is not order %s', (reference, order) => {
  expect(matchesOrderNumber(reference, order)).toBe(false);
});

test('C8: whatever the order’s number, itself and its rebookings name it, and no other text does', () => {
  const order = fc.string({ minLength: 1 }).filter((text) => text.trim() !== '');
  fc.assert(
    fc.property(order, fc.constantFrom('', '-C', '-c1', '-C2', '-k', '-R'), (number, suffix) => {
      expect(matchesOrderNumber(number.trim() + suffix, number)).toBe(true);
      expect(matchesOrderNumber(`${number.trim()}x`, number)).toBe(false);
    }),
  );
});
