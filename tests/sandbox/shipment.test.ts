import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../../sandbox/server.ts';
import { loadState, saveState } from '../../sandbox/state.ts';
import { shipByHand } from '../../sandbox/temu/shipment.ts';
import type { Params } from '../../sandbox/temu/sign.ts';
import { call, demoShop, fill, sandboxForTest } from './client.ts';
import {
  COMPANIES,
  confirm,
  DHL,
  type Harbour,
  harbour,
  READ_BACK,
  readBack,
  UPDATE,
  WAREHOUSES,
} from './shipping.ts';

interface Provider {
  logisticsServiceProviderId: number;
  logisticsServiceProviderName: string;
  logisticsBrandName: string;
}

async function providers({ sandbox, shop }: Harbour, regionId: number): Promise<Provider[]> {
  return (await call(sandbox, shop, { type: COMPANIES, regionId })).result as unknown as Provider[];
}

describe('companies.get', () => {
  it('lists the carriers of a region', async () => {
    const at = await harbour();
    const romania = await providers(at, 167);
    expect(romania).toContainEqual({
      logisticsServiceProviderId: DHL,
      logisticsServiceProviderName: 'DHL',
      logisticsBrandName: 'DHL',
    });
    const names = romania.map((one) => one.logisticsServiceProviderName);
    for (const name of ['FAN Courier', 'Sameday', 'Cargus', 'DPD RO', 'GLS', 'UPS', 'FedEx'])
      expect(names).toContain(name);
    expect(names.filter((name) => name.startsWith('GLS'))).toEqual(['GLS']);
    const italy = (await providers(at, 98)).map((one) => one.logisticsServiceProviderName);
    expect(italy.filter((name) => name.startsWith('GLS'))).toEqual(['GLS', 'GLS(IT)']);
    expect(italy).toContain('Poste Italiane');
    expect(await call(at.sandbox, at.shop, { type: COMPANIES })).toMatchObject({
      errorCode: 3_000_000,
      errorMsg: 'BAD_PARAMS: regionId',
    });
  });

  it('lists what the shop was given', async () => {
    const at = await harbour({ companies: [{ id: 5, name: 'One', regions: [167] }] });
    expect(await providers(at, 167)).toMatchObject([{ logisticsServiceProviderId: 5 }]);
    expect(await providers(at, 98)).toEqual([]);
    at.sandbox.world.setCompanies(at.shop, [{ id: 6, name: 'Two', brand: 'Brand' }]);
    expect(await providers(at, 98)).toMatchObject([{ logisticsBrandName: 'Brand' }]);
  });
});

describe('warehouse.list.get', () => {
  it('lists the warehouses, one of them the default one', async () => {
    const at = await harbour();
    const list = async (params: Params = {}) =>
      (await call(at.sandbox, at.shop, { type: WAREHOUSES, ...params })).result?.warehouseList;
    expect(await list()).toEqual([
      expect.objectContaining({ defaultWarehouse: false }),
      {
        defaultWarehouse: true,
        warehouseId: expect.stringMatching(/^WH-\d{17}$/),
        warehouseBrand: 'Self-operated',
        regionId1: 167,
        warehouseName: 'Main warehouse',
        warehouseManagementType: 1,
        enableBuyShippingLabel: true,
      },
    ]);
    expect(await list({ returnEnableBuyShippingLabelOnly: true })).toHaveLength(1);
    at.sandbox.world.setWarehouses(at.shop, []);
    expect(await list()).toEqual([]);
    expect(await confirm(at, at.single, 'AWB1')).toMatchObject({ errorCode: 120_011_085 });
  });
});

describe('v2.get', () => {
  it('is empty before, and shows the parcel after', async () => {
    const at = await harbour();
    expect(await readBack(at, at.single)).toEqual([]);
    await confirm(at, at.single, 'AWB1');
    expect(await readBack(at, at.single)).toEqual([
      {
        quantity: 1,
        carrierName: 'DHL',
        packageSn: expect.stringMatching(/^PK-\d{16}$/),
        packageDeliveryType: 1,
        cooperativeWarehouseDTO: null,
        carrierId: DHL,
        trackingNumber: 'AWB1',
        trackingWarningLabel: 0,
        subPackageShipmentInfoList: [],
        skuId: Number(at.single.lines[0]?.skuId),
      },
    ]);
  });

  it('wants a parent and a row of it', async () => {
    const { sandbox, shop, single, double } = await harbour();
    const { parentOrderSn } = single;
    const get = (params: Params) => call(sandbox, shop, { type: READ_BACK, ...params });
    expect(await get({ parentOrderSn })).toMatchObject({ errorMsg: 'BAD_PARAMS: orderSn' });
    expect(await get({ orderSn: '1' })).toMatchObject({ errorMsg: 'BAD_PARAMS: parentOrderSn' });
    expect(await get({ parentOrderSn: 'PO-1', orderSn: '1' })).toMatchObject({ errorCode: 120_012_007 });
    const orderSn = double.lines[0]?.orderSn;
    expect(await get({ parentOrderSn, orderSn })).toMatchObject({ errorCode: 120_012_016 });
  });

  it('shows what a person shipped at the seller center, which the API can no longer change', async () => {
    const at = await harbour();
    shipByHand(at.sandbox.world, at.shop.name, at.single.parentOrderSn, { trackingNumber: 'HAND1' });
    expect(await confirm(at, at.single, 'AWB1')).toMatchObject({ errorCode: 120_012_004 });
    expect(await readBack(at, at.single)).toMatchObject([{ trackingNumber: 'HAND1' }]);
    expect(at.sandbox.effects.accepted()).toEqual([]);
    expect(at.sandbox.effects.told('HAND1')).toEqual({ arrived: 0, accepted: 0 });
  });

  it('makes up the parcel of an order that was shipped before the sandbox began', async () => {
    const at = await harbour();
    const shipped = fill(at.sandbox, at.shop, 60).find(({ status }) => status === 5);
    if (!shipped) throw new Error('no shipped order');
    const parcels = await readBack(at, shipped);
    expect(parcels).toHaveLength(1);
    expect(await readBack(at, shipped)).toEqual(parcels);
    expect(at.sandbox.world.packages.list()).toMatchObject([{ byHand: true }]);
  });
});

interface Edited extends Harbour {
  packageSn: string;
  edit: (change?: Params) => ReturnType<typeof call>;
}

/** A shipped order whose parcel is then edited. */
async function shipped(): Promise<Edited> {
  const at = await harbour();
  await confirm(at, at.single, 'AWB1');
  const packageSn = (await readBack(at, at.single))[0]?.packageSn as string;
  const request = {
    packageSn,
    trackingNumber: 'AWB2',
    shipCompanyId: 314_439_762,
    selfShippingWarehouseId: at.warehouseId,
  };
  const edit = (change: Params = {}) =>
    call(at.sandbox, at.shop, { type: UPDATE, editPackageRequestList: [{ ...request, ...change }] });
  return { ...at, packageSn, edit };
}

describe('shippingtype.update', () => {
  it('changes carrier and number, tells so, and leaves updateTime', async () => {
    const at = await shipped();
    at.single.updatedAt -= 100;
    const { updatedAt } = at.single;
    expect(await at.edit()).toMatchObject({ success: true, result: true });
    expect(await readBack(at, at.single)).toMatchObject([
      { packageSn: at.packageSn, trackingNumber: 'AWB2', carrierName: 'UPS' },
    ]);
    expect(at.single.updatedAt).toBe(updatedAt);
    const { parentOrderSn } = at.single;
    expect(at.sandbox.effects.accepted({ via: 'update' })).toMatchObject([
      { parentOrderSn, trackingNumber: 'AWB2', carrierId: 314_439_762, warehouseId: at.warehouseId },
    ]);
    expect(at.sandbox.effects.summary().ordersWithSeveralNumbers).toEqual([
      { parentOrderSn, told: ['AWB1', 'AWB2'], accepted: ['AWB1', 'AWB2'] },
    ]);
    expect(await at.edit()).toMatchObject({ success: true });
    expect(at.sandbox.effects.summary().numbersAcceptedAgain).toEqual([
      { trackingNumber: 'AWB2', arrived: 2, accepted: 2 },
    ]);
    expect(await confirm(at, at.double, 'AWB1')).toMatchObject({ success: true });
  });

  it.each<[number, string, Params]>([
    [120_018_027, 'an unknown package', { packageSn: 'PK-1' }],
    [120_018_027, 'no package', { packageSn: undefined }],
    [120_011_020, 'no number', { trackingNumber: '' }],
    [120_014_020, 'a number with a dash', { trackingNumber: 'A-1' }],
    [120_014_004, 'the number of another order', { trackingNumber: 'USED' }],
    [120_015_527, 'no warehouse', { selfShippingWarehouseId: undefined }],
    [120_011_085, 'an unknown warehouse', { selfShippingWarehouseId: 'WH-1' }],
    [120_011_020, 'an unknown carrier', { shipCompanyId: 7 }],
  ])('refuses with %i: %s', async (errorCode, _, change) => {
    const at = await shipped();
    await confirm(at, at.double, 'USED');
    expect(await at.edit(change)).toMatchObject({ success: false, errorCode });
    expect(await readBack(at, at.single)).toMatchObject([{ trackingNumber: 'AWB1', carrierId: DHL }]);
  });

  it('refuses with 120015529 once the parcel is received, or when it was told to', async () => {
    const at = await shipped();
    const set = (change: object) => at.sandbox.world.changeOrder(at.shop, at.single.parentOrderSn, change);
    set({ packagesLocked: true });
    expect(await at.edit()).toMatchObject({ errorCode: 120_015_529 });
    set({ packagesLocked: false, status: 5 });
    expect(await at.edit()).toMatchObject({ errorCode: 120_015_529 });
  });

  it('edits several or none, and no sub-package', async () => {
    const at = await harbour();
    const sub = { carrierId: DHL, trackingNumber: 'SUB1', selfShippingWarehouseId: at.warehouseId };
    await confirm(at, at.single, 'AWB1', { subSendRequests: [sub] });
    await confirm(at, at.double, 'AWB2');
    const [first] = await readBack(at, at.single);
    const [second] = await readBack(at, at.double);
    const edit = (packageSn: unknown, trackingNumber: string) => ({
      packageSn,
      trackingNumber,
      shipCompanyId: DHL,
      selfShippingWarehouseId: at.warehouseId,
    });
    const update = (...editPackageRequestList: Params[]) =>
      call(at.sandbox, at.shop, { type: UPDATE, editPackageRequestList });
    const ofFirst = at.sandbox.world.packages.withNumber('SUB1');
    expect(await update(edit(ofFirst?.subs[0]?.packageSn, 'NEW1'))).toMatchObject({ errorCode: 120_015_520 });
    const { packageSn } = first ?? {};
    expect(await update(edit(packageSn, 'NEW1'), edit('PK-1', 'NEW2'))).toMatchObject({
      errorCode: 120_018_027,
    });
    const twice = await update(edit(packageSn, 'NEW1'), edit(second?.packageSn, 'NEW1'));
    expect(twice).toMatchObject({ errorCode: 120_014_003 });
    expect(await readBack(at, at.single)).toMatchObject([{ trackingNumber: 'AWB1' }]);
    expect(await update(edit(packageSn, 'NEW1'), edit(second?.packageSn, 'NEW2'))).toMatchObject({
      result: true,
    });
    expect(await readBack(at, at.double)).toMatchObject([{ trackingNumber: 'NEW2' }]);
  });
});

describe('what was told', () => {
  it('is whole when an order is confirmed while the state is saved', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'sandbox-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'state');
    const at = await harbour();
    fill(at.sandbox, at.shop, 1500);
    const { single, double } = at;
    const sn = double.parentOrderSn;
    at.sandbox.world.changeOrder(at.shop, sn, {}, Math.floor(Date.now() / 1000) + 100);
    const saving = saveState(file, at.sandbox);
    await confirm(at, double, 'AWB1');
    await confirm(at, single, 'AWB2');
    await saving;
    const second = await sandboxForTest();
    loadState(file, second);
    for (const parcel of second.world.packages.list()) {
      const { parentOrderSn } = parcel.contents[0] as { parentOrderSn: string };
      expect(second.world.order(at.shop.name, parentOrderSn)?.status).toBe(4);
      expect(second.effects.told(parcel.trackingNumber).accepted).toBe(1);
    }
    for (const order of second.world.orders(at.shop.name)) {
      if ([sn, single.parentOrderSn].includes(order.parentOrderSn) && order.status === 4)
        expect(second.world.packages.ofOrder(at.shop.name, order.parentOrderSn)).toHaveLength(1);
    }
  });

  it('is in the state file with its parcels', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'sandbox-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const stateFile = path.join(folder, 'state');
    const first = await startSandbox({ stateFile });
    const shop = demoShop(first, { shipsItself: false });
    const single = fill(first, shop, 200).find(
      ({ status, lines, labels, warnings }) =>
        status === 2 &&
        lines.length === 1 &&
        lines[0]?.cancelled === 0 &&
        labels.length + warnings.length === 0,
    );
    if (!single) throw new Error('no order to ship');
    const warehouseId = shop.warehouses[1]?.id as string;
    const at = { sandbox: first, shop, single, double: single, warehouseId };
    expect(await confirm(at, single, 'AWB1')).toMatchObject({ success: true });
    const told = first.effects.attempts();
    const parcels = await readBack(at, single);
    await first.close();

    const second = await sandboxForTest({ stateFile });
    expect(second.effects.attempts()).toEqual(told);
    expect(second.effects.told('AWB1')).toEqual({ arrived: 1, accepted: 1 });
    const restored = { ...at, sandbox: second, shop: second.world.shop(shop.name) };
    expect(restored.shop.shipsItself).toBe(false);
    expect(await readBack(restored, single)).toEqual(parcels);
    expect(await confirm(restored, single, 'AWB1')).toMatchObject({ errorCode: 120_012_004 });
  });
});
