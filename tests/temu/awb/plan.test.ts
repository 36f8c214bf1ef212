import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Comparison,
  compare,
  type KnownPackage,
  type OpenLine,
  type Parcel,
  type PlanInput,
  planPush,
} from '../../../src/temu/awb/plan.ts';

const line = (sn: string, remaining: number): OpenLine => ({
  ...{ id: `id-of-${sn}`, orderSn: sn, remaining },
  warnings: [],
});

/** Heard of in the order of their letters. */
const heardOf = (awbNumber: string) => new Date(Date.UTC(2026, 0, 1) + awbNumber.charCodeAt(0) * 1_000);
const parcel = (awbNumber: string, items: Parcel['items'] = null): Parcel => ({
  pushId: `push-of-${awbNumber}`,
  awbNumber,
  carrier: 'fancourier',
  items,
  createdAt: heardOf(awbNumber),
});
const newestSent = (awbNumber: string) => ({ awbNumber, createdAt: heardOf(awbNumber) });
const unit = (orderItemId: string, quantity = 1) => ({ orderItemId, quantity });

const input = (change: Partial<PlanInput>): PlanInput => ({
  status: 'Ready for Shipping',
  marketplaceStatus: 'UN_SHIPPING',
  warnings: [],
  lines: [line('L1', 2), line('L2', 1)],
  sent: [],
  newestSent: null,
  parcels: [parcel('A')],
  ...change,
});

/** What a plan tells Temu: number → what is in it. */
const told = (plan: ReturnType<typeof planPush>) =>
  plan.do === 'confirm'
    ? Object.fromEntries(
        plan.packages.map(({ parcel: { awbNumber }, contents }) => [
          awbNumber,
          Object.fromEntries(contents.map(({ orderSn, quantity }) => [orderSn, quantity])),
        ]),
      )
    : undefined;

describe('T20: what fulfillmentWarning forbids is parked before the call, with the reason and what to do', () => {
  test.each<[string, string, RegExp | null]>([
    [
      'RESTRICT_SELF_SHIPPING',
      'fancourier',
      /^AWB A: Temu does not allow the seller's own shipping .*: buy its label/,
    ],
    ['restrict_self_shipping ', 'fedex', /does not allow the seller's own shipping/],
    ['RESTRICT_FEDEX_SELF_SHIPPING', 'FedEx', /^AWB A: Temu does not allow FedEx .*another carrier/],
    ['RESTRICT_FEDEX_SELF_SHIPPING', 'fedex-ground', /does not allow fedex-ground/],
    ['RESTRICT_FEDEX_SELF_SHIPPING', 'ups', null],
    ['RESTRICT_USPS_SELF_SHIPPING', 'USPS', /RESTRICT_USPS_SELF_SHIPPING/],
    ['RESTRICT_USPS_SELF_SHIPPING', 'ups', null],
    ['BLOCK_LOGISTICS_PROVIDERS_{UPS,DHL}', 'dhl', /BLOCK_LOGISTICS_PROVIDERS/],
    ['BLOCK_LOGISTICS_PROVIDERS_{UPS,DHL}', 'gls', null],
    // these say something else
    ['RESTRICT_CALL_SHIPPING', 'fedex', null],
    ['SUGGEST_SIGNATURE_ON_DELIVERY', 'fedex', null],
    ['REQUIRES_AGE_VERIFICATION', 'fedex', null],
    ['SPECIFIC_LOGISTICS_REQUIRED', 'fedex', null],
    ['', '', null],
  ])('%s, with %s: %s', (warning, carrier, why) => {
    const parcels = [{ ...parcel('A'), carrier }];
    const own = { ...line('L1', 2), warnings: [warning] };
    for (const change of [{ warnings: [warning] }, { lines: [own, line('L2', 1)] }]) {
      const plan = planPush(input({ ...change, parcels }));
      if (why === null) expect(plan.do).toBe('confirm');
      else
        expect(plan).toMatchObject({
          do: 'park',
          reason: expect.stringMatching(why),
          untilOrderChanges: true,
        });
    }
  });

  test('a warning of a line concerns the parcel that holds it', () => {
    const lines = [{ ...line('L1', 1), warnings: ['RESTRICT_FEDEX_SELF_SHIPPING'] }, line('L2', 1)];
    const [a, b] = [parcel('A', [unit('L1')]), parcel('B', [unit('L2')])];
    expect(planPush(input({ lines, parcels: [a, { ...b, carrier: 'fedex' }] })).do).toBe('confirm');
    expect(planPush(input({ lines, parcels: [{ ...a, carrier: 'fedex' }, b] })).do).toBe('park');
  });

  test('what is done already, or waits, stays as it is', () => {
    const warnings = ['RESTRICT_SELF_SHIPPING'];
    expect(planPush(input({ warnings, marketplaceStatus: 'SHIPPED' })).do).toBe('compare');
    expect(planPush(input({ warnings, status: 'Pending' })).do).toBe('wait');
  });
});

describe('what is told', () => {
  test('A3: one parcel without a list holds everything that is open: sendType 0', () => {
    const plan = planPush(input({ lines: [line('L1', 2), line('L2', 1), line('L3', 0)] }));
    expect(plan).toMatchObject({ do: 'confirm', sendType: 0 });
    expect(told(plan)).toEqual({ A: { L1: 2, L2: 1 } });
  });

  test('A3: one parcel that lists everything is no split: sendType 0', () => {
    const plan = planPush(input({ parcels: [parcel('A', [unit('L1', 2), unit('L2')])] }));
    expect(plan).toMatchObject({ do: 'confirm', sendType: 0 });
    expect(told(plan)).toEqual({ A: { L1: 2, L2: 1 } });
  });

  test('A3: parcels that cover the order together go in one call: sendType 1', () => {
    const plan = planPush(
      input({ parcels: [parcel('A', [unit('L1')]), parcel('B', [unit('L2'), unit('L1')])] }),
    );
    expect(plan).toMatchObject({ do: 'confirm', sendType: 1 });
    expect(told(plan)).toEqual({ A: { L1: 1 }, B: { L1: 1, L2: 1 } });
  });

  test('A1: an item is named by our line’s id or by the marketplace’s number, also in one list', () => {
    const plan = planPush(input({ parcels: [parcel('A', [unit('id-of-L1'), unit('L1'), unit('L2')])] }));
    expect(told(plan)).toEqual({ A: { L1: 2, L2: 1 } });
  });

  test('A3: every parcel keeps its own push', () => {
    const plan = planPush(input({ parcels: [parcel('A', [unit('L1', 2)]), parcel('B', [unit('L2')])] }));
    if (plan.do !== 'confirm') throw new Error(`it is to ${plan.do}`);
    expect(plan.packages.map(({ parcel: { pushId } }) => pushId)).toEqual(['push-of-A', 'push-of-B']);
  });

  test.each(['Ready for Shipping', 'Partially Shipped', 'Incomplete'])(
    'A3: an order that is %s is told',
    (status) => {
      expect(planPush(input({ status })).do).toBe('confirm');
    },
  );
});

describe('what is not told', () => {
  const UNTIL_IT_CHANGES = { do: 'park', untilOrderChanges: true };
  const FOR_A_PERSON = { do: 'park', untilOrderChanges: false };

  test.each<[string, Partial<PlanInput>, object, RegExp]>([
    ['a cancelled order', { status: 'Cancelled' }, UNTIL_IT_CHANGES, /cancelled/],
    ['an order held back after a cancellation', { status: 'Pending' }, { do: 'wait' }, /pending/],
    ['an order that is PENDING at Temu', { marketplaceStatus: 'PENDING' }, { do: 'wait' }, /pending/],
    ['an order with nothing left', { lines: [line('L1', 0)] }, UNTIL_IT_CHANGES, /nothing .* left/],
    ['an order without lines', { lines: [] }, UNTIL_IT_CHANGES, /nothing .* left/],
    [
      'a part of a split, several units short',
      { parcels: [parcel('A', [unit('L2')])] },
      { do: 'wait' },
      /parcels of 2 more units of/,
    ],
    [
      'a part of a split, one unit short',
      { parcels: [parcel('A', [unit('L1', 2)])] },
      { do: 'wait' },
      /parcels of 1 more unit of/,
    ],
    [
      'a parcel with more than was ordered',
      { parcels: [parcel('A', [unit('L1', 3), unit('L2')])] },
      UNTIL_IT_CHANGES,
      /1 more of line L1 than/,
    ],
    [
      'parcels that hold too much of a line together, by whatever name',
      { parcels: [parcel('A', [unit('L1', 2), unit('L2')]), parcel('B', [unit('id-of-L1', 2)])] },
      UNTIL_IT_CHANGES,
      /2 more of line L1 than/,
    ],
    [
      'an item that the order does not have',
      { parcels: [parcel('A', [unit('L1', 2), unit('L9')])] },
      UNTIL_IT_CHANGES,
      /AWB A lists the item L9/,
    ],
    [
      'an item that was cancelled',
      { lines: [line('L1', 2), line('L2', 0)], parcels: [parcel('A', [unit('L1', 2), unit('L2')])] },
      UNTIL_IT_CHANGES,
      /lists the item L2/,
    ],
    [
      'a parcel for the whole order beside parts of it',
      { parcels: [parcel('A', [unit('L1', 2)]), parcel('B'), parcel('C', [unit('L2')])] },
      FOR_A_PERSON,
      /AWB B is for the whole order, but A, C list items/,
    ],
  ])('A3: %s', (_, change, plan, reason) => {
    const made = planPush(input(change));
    expect(made).toMatchObject(plan);
    expect('reason' in made && made.reason).toMatch(reason);
  });

  test.each<[what: string, change: Partial<PlanInput>, older: string[], by: string]>([
    ['are to be told', { parcels: [parcel('B'), parcel('A')] }, ['A'], 'B'],
    [
      'are to be told, of a cancelled order',
      { status: 'Cancelled', parcels: [parcel('A'), parcel('B')] },
      ['A'],
      'B',
    ],
    ['Temu has the newer one of', { sent: ['B'], newestSent: newestSent('B') }, ['A'], 'B'],
    [
      'Temu has the one in the middle of',
      { sent: ['B'], newestSent: newestSent('B'), parcels: [parcel('A'), parcel('C')] },
      ['A'],
      'C',
    ],
  ])('A6: of two AWBs for the whole order that %s the older one is history', (_, change, older, by) => {
    const plan = planPush(input(change));
    expect(plan).toMatchObject({ do: 'replace', by });
    expect(plan.do === 'replace' && plan.parcels.map(({ awbNumber }) => awbNumber)).toEqual(older);
  });

  test('A6: a newer AWB than the one that Temu has is compared, and parts of an order replace nothing', () => {
    expect(planPush(input({ sent: ['A'], newestSent: newestSent('A'), parcels: [parcel('B')] }))).toEqual({
      do: 'compare',
    });
    const parts = [parcel('A', [unit('L1', 2)]), parcel('B', [unit('L2')])];
    expect(planPush(input({ parcels: parts }))).toMatchObject({ do: 'confirm' });
    expect(planPush(input({ sent: ['C'], newestSent: newestSent('C'), parcels: parts }))).toEqual({
      do: 'compare',
    });
  });

  test.each<[string, Partial<PlanInput>]>([
    ['SHIPPED', { marketplaceStatus: 'SHIPPED', status: 'Shipped' }],
    ['RECEIPTED', { marketplaceStatus: 'RECEIPTED', status: 'Shipped' }],
    ['sent by us', { sent: ['Z'] }],
    ['sent by us, then cancelled', { sent: ['Z'], status: 'Cancelled', lines: [] }],
  ])('A6: of an order that is %s Temu is asked first', (_, change) => {
    expect(planPush(input(change))).toEqual({ do: 'compare' });
  });
});

/** Lines, and every open unit of theirs dealt out to parcels, named either way. */
const dealt = fc
  .record({
    lines: fc.uniqueArray(fc.record({ sn: fc.nat(50), remaining: fc.integer({ min: 0, max: 5 }) }), {
      selector: ({ sn }) => sn,
      minLength: 1,
      maxLength: 6,
    }),
    parcels: fc.integer({ min: 1, max: 4 }),
    luck: fc.infiniteStream(fc.nat(1000)),
  })
  .map(({ lines, parcels, luck }) => {
    const next = () => luck.next().value as number;
    const open = lines.map(({ sn, remaining }) => line(`L${sn}`, remaining));
    const boxes: { orderItemId: string; quantity: number }[][] = Array.from({ length: parcels }, () => []);
    for (const { id, orderSn, remaining } of open)
      for (let left = remaining; left > 0; left--)
        boxes[next() % parcels]?.push(unit(next() % 2 === 0 && id !== null ? id : orderSn));
    const filled = boxes.filter((items) => items.length > 0);
    return { open, parcels: filled.map((items, index) => parcel(`A${index}`, items)) };
  })
  .filter(({ parcels }) => parcels.length > 0);

const sumOf = (plan: ReturnType<typeof planPush>) => {
  const sums: Record<string, number> = {};
  for (const contents of Object.values(told(plan) ?? {}))
    for (const [sn, quantity] of Object.entries(contents)) sums[sn] = (sums[sn] ?? 0) + quantity;
  return sums;
};
const openOf = (lines: readonly OpenLine[]) =>
  Object.fromEntries(
    lines.filter(({ remaining }) => remaining > 0).map(({ orderSn, remaining }) => [orderSn, remaining]),
  );

describe('properties', () => {
  test('A3: parcels that hold everything are told, each with its own contents', () => {
    fc.assert(
      fc.property(dealt, ({ open, parcels }) => {
        const plan = planPush(input({ lines: open, parcels }));
        expect(plan).toMatchObject({ do: 'confirm', sendType: parcels.length > 1 ? 1 : 0 });
        expect(sumOf(plan)).toEqual(openOf(open));
        const units = Object.fromEntries(parcels.map(({ awbNumber, items }) => [awbNumber, items?.length]));
        const inPlan = Object.entries(told(plan) ?? {}).map(([awb, contents]) => [
          awb,
          Object.values(contents).reduce((sum, one) => sum + one, 0),
        ]);
        expect(Object.fromEntries(inPlan)).toEqual(units);
      }),
    );
  });

  test('A3: with a parcel missing they wait for exactly its units', () => {
    fc.assert(
      fc.property(dealt, fc.nat(), ({ open, parcels }, which) => {
        fc.pre(parcels.length > 1);
        const missing = parcels[which % parcels.length];
        const plan = planPush(input({ lines: open, parcels: parcels.filter((one) => one !== missing) }));
        const count = missing?.items?.length ?? 0;
        expect(plan).toEqual({
          do: 'wait',
          reason: `waiting for the parcels of ${count} more unit${count === 1 ? '' : 's'} of the order`,
        });
      }),
    );
  });

  test('A3: whatever the parcels say, what is told is every open unit and never more; their order does not matter', () => {
    const item = fc.record({
      orderItemId: fc.nat(1).map((n) => `L${n}`),
      quantity: fc.integer({ min: 1, max: 2 }),
    });
    const items = fc.array(item, { minLength: 1, maxLength: 2 });
    const anything = fc.record({
      status: fc.constantFrom(
        'Ready for Shipping',
        'Ready for Shipping',
        'Partially Shipped',
        'Incomplete',
        'Pending',
        'Cancelled',
      ),
      lines: fc.array(fc.integer({ min: -1, max: 3 }), { maxLength: 2 }),
      parcels: fc.array(fc.option(items, { freq: 8 }), { minLength: 1, maxLength: 3 }),
    });
    let confirmed = 0;
    fc.assert(
      fc.property(anything, fc.infiniteStream(fc.nat(1000)), (given, luck) => {
        const lines = given.lines.map((remaining, index) => line(`L${index}`, remaining));
        const parcels = given.parcels.map((items, index) => parcel(`A${index}`, items));
        const plan = planPush(input({ ...given, lines, parcels }));
        if (plan.do === 'confirm') {
          confirmed += 1;
          expect(sumOf(plan)).toEqual(openOf(lines));
          expect(plan.packages.map(({ parcel: { awbNumber } }) => awbNumber)).toEqual(
            parcels.map(({ awbNumber }) => awbNumber),
          );
        }
        const shuffled = parcels
          .map((one) => [luck.next().value as number, one] as const)
          .sort(([a], [b]) => a - b)
          .map(([, one]) => one);
        const again = planPush(input({ ...given, lines, parcels: shuffled }));
        expect(again.do).toBe(plan.do);
        expect(told(again)).toEqual(told(plan));
      }),
      { numRuns: 2_000 },
    );
    expect(confirmed).toBeGreaterThan(10); // about 48 of them
  });
});

describe('compare', () => {
  const has = (...numbers: string[]): KnownPackage[] =>
    numbers.map((trackingNumber) => ({ packageSn: `PK-${trackingNumber}`, trackingNumber }));

  test.each<[string, KnownPackage[], string[], Comparison['is']]>([
    ['the same number', has('A'), [], 'sent'],
    ['the same number as people write it', has(' a '), [], 'sent'],
    ['the same number among others', has('X', 'A'), ['X'], 'sent'],
    ['nothing', has(), ['OLD'], 'missing'],
    ['our own earlier number', has('OLD'), ['OLD'], 'change'],
    ['our own earlier number, written otherwise', has('old'), ['older', 'OLD'], 'change'],
    ['a number that we did not send', has('X'), [], 'conflict'],
    ['a number that we did not send, after one that we did', has('X'), ['OLD'], 'conflict'],
    ['several parcels, one of them ours', has('OLD', 'X'), ['OLD'], 'conflict'],
    ['several parcels, all of them ours', has('OLD', 'OLD2'), ['OLD', 'OLD2'], 'conflict'],
  ])('A6: Temu has %s', (_, known, earlier, is) => {
    expect(compare('A', known, earlier).is).toBe(is);
  });

  test('A6: the parcel to be changed is the one with our earlier number', () => {
    expect(compare('A', has('OLD'), ['OLD'])).toEqual({ is: 'change', packageSn: 'PK-OLD' });
  });

  test('A6: a conflict names both numbers', () => {
    const found = compare('A', has('X', 'Y'), []);
    expect('reason' in found && found.reason).toMatch(/Temu has X, Y .* ours is A/);
  });

  test('A6: a number that Temu has is sent, one that it has not is never sent', () => {
    const number = fc.constantFrom('A', 'B', 'C', 'D');
    fc.assert(
      fc.property(number, fc.array(number, { maxLength: 4 }), fc.array(number), (ours, known, earlier) => {
        const { is } = compare(ours, has(...known), earlier);
        expect(is === 'sent').toBe(known.includes(ours));
        expect(is === 'missing').toBe(known.length === 0);
        if (is === 'change') expect(earlier).toContain(known[0]);
      }),
    );
  });
});
