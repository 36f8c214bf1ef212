import { describe, expect, it } from 'vitest';
import type { SandboxOrder } from '../../sandbox/temu/model.ts';
import type { Params } from '../../sandbox/temu/sign.ts';
import { call, LIST } from './client.ts';
import { confirm, confirmAll, DHL, type Harbour, harbour, itemsOf, parcelOf, readBack } from './shipping.ts';

/** Nothing of the call took effect. */
function expectUntouched({ sandbox, single, double }: Harbour): void {
  expect([single.status, double.status]).toEqual([2, 2]);
  expect(sandbox.world.packages.list()).toEqual([]);
  expect(sandbox.effects.accepted()).toEqual([]);
}

describe('v2.confirm ships', () => {
  it('a whole order in one parcel, at this second', async () => {
    const at = await harbour();
    const before = Math.floor(Date.now() / 1000);
    expect(await confirm(at, at.double, 'AWB1')).toMatchObject({
      success: true,
      errorCode: 1_000_000,
      result: { assistantAgreementText: null, warningMessage: [] },
    });
    expect(at.double.status).toBe(4);
    expect(at.double.lines.map(({ status }) => status)).toEqual([4, 4]);
    expect(at.double.updatedAt).toBeGreaterThanOrEqual(before);
    expect(at.double.shippedAt).toBe(at.double.updatedAt);
    const list = await call(at.sandbox, at.shop, { type: LIST, parentOrderStatus: 4 });
    expect(JSON.stringify(list)).toContain(at.double.parentOrderSn);
    expect(at.single.status).toBe(2);
  });

  it('a row of an order split over two parcels', async () => {
    const at = await harbour();
    const [first, second] = itemsOf(at.double);
    const half = { ...second, quantity: 1 };
    const parcels = [
      parcelOf(at, at.double, 'AWB1', { orderSendInfoList: [first, half] }),
      parcelOf(at, at.double, 'AWB2', { orderSendInfoList: [half] }),
    ];
    expect(await confirmAll(at, 1, parcels)).toMatchObject({ success: true });
    expect((await readBack(at, at.double, first?.orderSn)).map((one) => one.trackingNumber)).toEqual([
      'AWB1',
    ]);
    expect(await readBack(at, at.double, second?.orderSn)).toMatchObject([
      { trackingNumber: 'AWB1', quantity: 1 },
      { trackingNumber: 'AWB2', quantity: 1 },
    ]);
  });

  it('several orders to one address in one parcel', async () => {
    const at = await harbour();
    const together = [
      parcelOf(at, at.single, 'AWB1', { orderSendInfoList: [...itemsOf(at.single), ...itemsOf(at.double)] }),
    ];
    at.double.address = { ...at.single.address, street1: 'elsewhere' };
    expect(await confirmAll(at, 2, together)).toMatchObject({ errorCode: 120_012_015 });
    expectUntouched(at);
    at.double.address = { ...at.single.address };
    expect(await confirmAll(at, 2, together)).toMatchObject({ success: true });
    expect([at.single.status, at.double.status]).toEqual([4, 4]);
    expect(at.sandbox.world.packages.list()).toHaveLength(1);
  });

  it('with numbers of sub-packages', async () => {
    const at = await harbour();
    const sub = { carrierId: DHL, trackingNumber: 'SUB1', selfShippingWarehouseId: at.warehouseId };
    expect(await confirm(at, at.single, 'AWB1', { subSendRequests: [sub] })).toMatchObject({ success: true });
    expect(await readBack(at, at.single)).toMatchObject([
      { trackingNumber: 'AWB1', subPackageShipmentInfoList: [{ trackingNumber: 'SUB1' }] },
    ]);
    expect(await confirm(at, at.double, 'SUB1')).toMatchObject({ errorCode: 120_014_004 });
  });

  it('and leaves cancelled rows alone', async () => {
    const at = await harbour();
    const [first, second] = at.double.lines as [SandboxOrder['lines'][0], SandboxOrder['lines'][0]];
    Object.assign(first, { cancelled: 1, status: 3 });
    second.cancelled = 1;
    expect(await confirm(at, at.double, 'AWB1')).toMatchObject({ errorCode: 3_000_000 });
    const open = itemsOf(at.double).filter(({ quantity }) => quantity > 0);
    expect(await confirm(at, at.double, 'AWB1', { orderSendInfoList: open })).toMatchObject({
      success: true,
    });
    expect([first.status, second.status, at.double.status]).toEqual([3, 4, 4]);
  });

  it('with a warning when the order has one', async () => {
    const at = await harbour();
    at.single.warnings = ['SUGGEST_SIGNATURE_ON_DELIVERY'];
    expect(await confirm(at, at.single, 'AWB1')).toMatchObject({
      success: true,
      result: { warningMessage: ['SUGGEST_SIGNATURE_ON_DELIVERY'] },
    });
  });
});

type Spoil = (at: Harbour) => Params;

describe('v2.confirm refuses, and nothing takes effect', () => {
  it.each<[number, string, Spoil]>([
    [120_012_007, 'a parent that is none', ({ single }) => items(single, { parentOrderSn: 'PO-167-1' })],
    [120_012_016, 'a row that is none', ({ single }) => items(single, { orderSn: '167-1' })],
    [
      120_012_016,
      'a row of another parent',
      ({ single, double }) => items(single, { orderSn: double.lines[0]?.orderSn }),
    ],
    [120_012_016, 'goods that the row does not have', ({ single }) => items(single, { goodsId: 1 })],
    [120_012_016, 'a SKU that the row does not have', ({ single }) => items(single, { skuId: 1 })],
    [
      120_012_041,
      'a row twice',
      ({ single }) => ({ orderSendInfoList: [...itemsOf(single), ...itemsOf(single)] }),
    ],
    [
      120_012_007,
      'two parents',
      ({ single, double }) => ({ orderSendInfoList: [...itemsOf(single), ...itemsOf(double)] }),
    ],
    [120_014_001, 'a blank number', () => ({ trackingNumber: '  ' })],
    [120_014_001, 'no number', () => ({ trackingNumber: undefined })],
    [120_014_020, 'a number with a dash', () => ({ trackingNumber: 'AWB-1' })],
    [120_014_020, 'a number with %', () => ({ trackingNumber: 'AWB%1' })],
    [120_014_020, 'a number with #', () => ({ trackingNumber: '#AWB1' })],
    [120_015_527, 'no warehouse', () => ({ selfShippingWarehouseId: undefined })],
    [120_011_085, 'a warehouse of someone else', () => ({ selfShippingWarehouseId: 'WH-1' })],
    [120_014_022, 'an unknown carrier', () => ({ carrierId: 7 })],
    [120_013_002, 'too many units', ({ single }) => items(single, { quantity: 2 })],
    [120_014_003, 'a number twice', (at) => ({ subSendRequests: [parcelOf(at, at.single, 'AWB1')] })],
    [120_011_098, 'eleven sub-packages', (at) => subs(at, 11)],
    [3_000_000, 'no carrier', () => ({ carrierId: undefined })],
    [3_000_000, 'no rows', () => ({ orderSendInfoList: [] })],
    [3_000_000, 'no quantity', ({ single }) => items(single, { quantity: 0 })],
    [3_000_000, 'a number that is no text', () => ({ trackingNumber: 12 })],
  ])('%i: %s', async (errorCode, _, spoil) => {
    const at = await harbour();
    expect(await confirm(at, at.single, 'AWB1', spoil(at))).toMatchObject({ success: false, errorCode });
    expectUntouched(at);
    expect(at.sandbox.effects.summary().refused).toHaveProperty([String(errorCode)]);
  });

  it('3000000 with the path of the field', async () => {
    const at = await harbour();
    expect(await confirmAll(at, 3, [])).toMatchObject({ errorMsg: 'BAD_PARAMS: sendType' });
    expect(await confirmAll(at, 0, [])).toMatchObject({ errorMsg: 'BAD_PARAMS: sendRequestList' });
    expect(await confirm(at, at.single, 'AWB1', { carrierId: 'DHL' })).toMatchObject({
      errorCode: 3_000_000,
      errorMsg: 'BAD_PARAMS: sendRequestList[0].carrierId',
    });
  });

  it.each<[number, string, Partial<SandboxOrder>]>([
    [120_012_007, 'an order that is not paid', { status: 1 }],
    [120_012_007, 'a cancelled order', { status: 3 }],
    [120_012_004, 'a shipped order', { status: 4 }],
    [120_012_004, 'a received order', { status: 5 }],
    [120_012_023, 'a new address pending', { labels: ['pending_buyer_address_change'] }],
    [120_012_030, 'a cancellation pending', { labels: ['pending_buyer_cancellation'] }],
    [120_012_031, 'a risk alert', { labels: ['pending_risk_control_alert'] }],
    [120_012_034, 'a store that must buy labels', { warnings: ['RESTRICT_SELF_SHIPPING'] }],
    [120_017_007, 'what the test says', { confirmFailure: { errorCode: 120_017_007, errorMsg: 'x' } }],
  ])('%i: %s', async (errorCode, _, change) => {
    const at = await harbour();
    at.sandbox.world.changeOrder(at.shop, at.single.parentOrderSn, change);
    expect(await confirm(at, at.single, 'AWB1')).toMatchObject({ success: false, errorCode });
    expect(at.sandbox.effects.accepted()).toEqual([]);
  });

  it('a part of an order, whatever the type', async () => {
    const at = await harbour();
    const [first, second] = itemsOf(at.double);
    const part = [parcelOf(at, at.double, 'AWB1', { orderSendInfoList: [first] })];
    const less = [
      parcelOf(at, at.double, 'AWB1', { orderSendInfoList: [first, { ...second, quantity: 1 }] }),
    ];
    for (const type of [0, 1, 2]) {
      expect(await confirmAll(at, type, part)).toMatchObject({ errorCode: 120_013_002 });
      expect(await confirmAll(at, type, less)).toMatchObject({ errorCode: 120_013_002 });
    }
    const twice = ['AWB1', 'AWB1'].map((number) => parcelOf(at, at.double, number));
    expect(await confirmAll(at, 1, twice)).toMatchObject({ errorCode: 120_014_003 });
    expect(await confirmAll(at, 0, twice)).toMatchObject({ errorCode: 3_000_000 });
    expectUntouched(at);
  });

  it('the number of another order, and the same order again', async () => {
    const at = await harbour();
    expect(await confirm(at, at.single, 'AWB1')).toMatchObject({ success: true });
    expect(await confirm(at, at.double, 'AWB1')).toMatchObject({ errorCode: 120_014_004 });
    expect(await confirm(at, at.single, 'AWB1')).toMatchObject({ errorCode: 120_012_004 });
    expect(await confirm(at, at.single, 'AWB2')).toMatchObject({ errorCode: 120_012_004 });
    expect(at.sandbox.effects.told('AWB1')).toEqual({ arrived: 3, accepted: 1 });
  });

  it('a sub-package of more than one unit, an unfinished warehouse, a number that its carrier does not use', async () => {
    const at = await harbour();
    expect(await confirm(at, at.double, 'AWB1', subs(at, 1))).toMatchObject({ errorCode: 120_011_045 });
    const { warehouses } = at.shop;
    at.sandbox.world.setWarehouses(
      at.shop,
      warehouses.map((one) => ({ ...one, managementType: null })),
    );
    expect(await confirm(at, at.single, 'AWB1')).toMatchObject({ errorCode: 120_011_086 });
    at.sandbox.world.setWarehouses(at.shop, warehouses);
    at.sandbox.world.setCompanies(at.shop, [{ id: DHL, name: 'DHL', pattern: '^\\d{10}$' }]);
    expect(await confirm(at, at.single, 'AWB1')).toMatchObject({
      errorCode: 120_014_023,
      errorMsg: 'Tracking number is invalid: AWB1.',
    });
    expect(await confirm(at, at.single, '1234567890')).toMatchObject({ success: true });
  });

  it('a pending label, unless the call overrules it', async () => {
    const at = await harbour();
    const labels = ['pending_buyer_cancellation', 'soon_to_be_overdue'];
    at.sandbox.world.changeOrder(at.shop, at.single.parentOrderSn, { labels });
    const deny = (word: string) => confirm(at, at.single, 'AWB1', { confirmAcceptance: [word] });
    expect(await deny('DENY_ADDRESS_CHANGE')).toMatchObject({ errorCode: 120_012_030 });
    expect(await deny('DENY_CANCELLATION')).toMatchObject({ success: true });
    expect(at.single.labels).toEqual(['soon_to_be_overdue']);
  });
});

function items(order: SandboxOrder, change: Params): Params {
  return { orderSendInfoList: itemsOf(order).map((item) => ({ ...item, ...change })) };
}

function subs({ warehouseId }: Harbour, count: number): Params {
  const sub = (_: unknown, at: number) => ({
    carrierId: DHL,
    trackingNumber: `SUB${at}`,
    selfShippingWarehouseId: warehouseId,
  });
  return { subSendRequests: Array.from({ length: count }, sub) };
}
