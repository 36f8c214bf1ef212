import { describe, expect, it } from 'vitest';
import { createEffects } from '../../sandbox/effects.ts';
import type { FaultAction } from '../../sandbox/temu/faults.ts';
import { createWorld } from '../../sandbox/temu/world.ts';
import { call, post } from './client.ts';
import {
  CONFIRM,
  confirm,
  confirmAll,
  DHL,
  type Harbour,
  harbour,
  itemsOf,
  parcelOf,
  readBack,
  UPDATE,
} from './shipping.ts';

const told = (at: Harbour, order: Harbour['single'], trackingNumber: string) =>
  post(at.sandbox, at.shop, {
    type: CONFIRM,
    sendType: 0,
    sendRequestList: [parcelOf(at, order, trackingNumber)],
  });

describe('the ledger of effects', () => {
  it('holds what took effect, what was refused, and how often each number came', async () => {
    const at = await harbour();
    const { effects } = at.sandbox;
    const before = Date.now();
    await confirm(at, at.single, 'AWB-1');
    await confirm(at, at.single, 'AWB1');
    await confirm(at, at.single, 'AWB1');
    await confirm(at, at.single, 'AWB2');
    await confirm(at, at.double, 'AWB1');
    expect(effects.told('AWB1')).toEqual({ arrived: 3, accepted: 1 });
    expect(effects.told('AWB2')).toEqual({ arrived: 1, accepted: 0 });
    expect(effects.told('nothing')).toEqual({ arrived: 0, accepted: 0 });
    const { parentOrderSn, lines } = at.single;
    expect(effects.ofOrder(parentOrderSn).map(({ outcome }) => outcome)).toEqual([
      'refused:120014020',
      'accepted',
      'refused:120012004',
      'refused:120012004',
    ]);
    expect(effects.ofOrder(lines[0]?.orderSn as string)).toEqual(effects.ofOrder(parentOrderSn));
    const [accepted] = effects.accepted();
    expect(accepted).toEqual({
      call: 2,
      at: expect.any(Number),
      shop: at.shop.name,
      parentOrderSn,
      orderSns: [lines[0]?.orderSn],
      trackingNumber: 'AWB1',
      carrierId: DHL,
      warehouseId: at.warehouseId,
      via: 'confirm',
      outcome: 'accepted',
      fault: null,
    });
    expect(accepted?.at).toBeGreaterThanOrEqual(before);
    expect(effects.summary()).toEqual({
      calls: 5,
      attempts: 5,
      accepted: 1,
      refused: { 120012004: 2, 120014004: 1, 120014020: 1 },
      faults: {},
      numbersToldAgain: [{ trackingNumber: 'AWB1', arrived: 3, accepted: 1 }],
      numbersAcceptedAgain: [],
      ordersWithSeveralNumbers: [{ parentOrderSn, told: ['AWB-1', 'AWB1', 'AWB2'], accepted: ['AWB1'] }],
    });
  });

  it('counts a call once, however many orders it tells a number of', async () => {
    const at = await harbour();
    at.double.address = at.single.address;
    const orderSendInfoList = [...itemsOf(at.single), ...itemsOf(at.double)];
    await confirmAll(at, 2, [parcelOf(at, at.single, 'AWB1', { orderSendInfoList })]);
    expect(at.sandbox.effects.told('AWB1')).toEqual({ arrived: 1, accepted: 1 });
    expect(at.sandbox.effects.accepted().map(({ parentOrderSn }) => parentOrderSn)).toEqual([
      at.single.parentOrderSn,
      at.double.parentOrderSn,
    ]);
  });

  it('holds numbers that came to nothing at the gateway, and garbage', async () => {
    const at = await harbour();
    const { effects } = at.sandbox;
    at.sandbox.world.setCredentialsRevoked(at.shop, true);
    await confirm(at, at.single, 'AWB1');
    at.sandbox.world.setCredentialsRevoked(at.shop, false);
    await call(at.sandbox, { ...at.shop, accessToken: 'x' }, { type: CONFIRM });
    await confirmAll(at, 0, 'nonsense');
    await call(at.sandbox, at.shop, { type: UPDATE, editPackageRequestList: 7 });
    expect(
      effects
        .attempts()
        .map(({ shop, trackingNumber, outcome, via }) => [shop, trackingNumber, outcome, via]),
    ).toEqual([
      [at.shop.name, 'AWB1', 'refused:3000034', 'confirm'],
      [null, null, 'refused:3000031', 'confirm'],
      [at.shop.name, null, 'refused:3000000', 'confirm'],
      [at.shop.name, null, 'refused:120011020', 'update'],
    ]);
  });

  it('filters, and comes back as it was', () => {
    const effects = createEffects();
    const telling = {
      parentOrderSn: 'PO-1',
      orderSns: ['1'],
      carrierId: 1,
      warehouseId: null,
      via: 'confirm',
    } as const;
    const about = { shop: 'a', fault: null } as const;
    effects.record({ ...about, at: 1, outcome: 'accepted' }, [{ ...telling, trackingNumber: 'A' }]);
    effects.record({ ...about, at: 2, outcome: 'refused:7' }, [{ ...telling, trackingNumber: 'B' }]);
    effects.record({ shop: 'b', fault: 'cut', at: 3, outcome: 'fault' }, [
      { ...telling, trackingNumber: 'A' },
    ]);
    const found = (filter: Parameters<typeof effects.attempts>[0]) =>
      effects.attempts(filter).map(({ at }) => at);
    expect(found({ shop: 'a' })).toEqual([1, 2]);
    expect(found({ trackingNumber: 'A' })).toEqual([1, 3]);
    expect(found({ outcome: 'refused' })).toEqual([2]);
    expect(found({ outcome: 'refused:7', parentOrderSn: 'PO-1' })).toEqual([2]);
    expect(found({ orderSn: '1', since: 2 })).toEqual([2, 3]);
    expect(found({ orderSn: 'PO-1' })).toEqual([]);
    expect(found({ fault: 'cut', via: 'confirm' })).toEqual([3]);
    const again = createEffects();
    again.restore(JSON.parse(JSON.stringify(effects.attempts())));
    expect(again.attempts()).toEqual(effects.attempts());
    expect(again.summary()).toEqual(effects.summary());
    again.record({ ...about, at: 4, outcome: 'fault' }, [{ ...telling, trackingNumber: 'A' }]);
    expect(again.attempts({ since: 4 })).toMatchObject([{ call: 4 }]);
    again.reset();
    expect(again.told('A')).toEqual({ arrived: 0, accepted: 0 });
  });
});

const NEVER: FaultAction[] = [
  { kind: 'throttle' },
  { kind: 'error', errorCode: 7_000_000, errorMsg: 'BUSINESS_SERVICE_ERROR' },
  { kind: 'innerError', errorCode: 1001, errorMsg: 'x' },
  { kind: 'timeout', ms: 30 },
  { kind: 'cut' },
  { kind: 'html', status: 502 },
  { kind: 'status', status: 503 },
  { kind: 'wrongJson' },
];
const HANDLED: FaultAction[] = [
  { kind: 'lostAnswer' },
  { kind: 'answerThenCut' },
  { kind: 'truncatedJson' },
  { kind: 'invalidUtf8' },
  { kind: 'delay', ms: 30 },
  { kind: 'timeout', ms: 30, handled: true },
  { kind: 'error', errorCode: 7_000_000, errorMsg: 'BUSINESS_SERVICE_ERROR', handled: true },
  { kind: 'html', status: 502, handled: true },
  { kind: 'status', status: 503, handled: true },
  { kind: 'wrongJson', handled: true },
];

describe('a fault on a confirmation', () => {
  it.each(NEVER)('%j strikes before the effect', async (action) => {
    const at = await harbour();
    at.sandbox.faults.add({ do: action, times: 1 });
    await told(at, at.single, 'AWB1')
      .then((answer) => answer.text())
      .catch(() => undefined);
    expect(at.sandbox.effects.ofOrder(at.single.parentOrderSn)).toMatchObject([
      { outcome: 'fault', fault: action.kind, trackingNumber: 'AWB1' },
    ]);
    expect(at.single.status).toBe(2);
    expect(await readBack(at, at.single)).toEqual([]);
    expect(await confirm(at, at.single, 'AWB1')).toMatchObject({ success: true });
    expect(at.sandbox.effects.told('AWB1')).toEqual({ arrived: 2, accepted: 1 });
  });

  it.each(HANDLED)('%j strikes after the effect', async (action) => {
    const at = await harbour();
    at.sandbox.faults.add({ do: action, times: 1 });
    await told(at, at.single, 'AWB1')
      .then((answer) => answer.text())
      .catch(() => undefined);
    expect(at.sandbox.effects.ofOrder(at.single.parentOrderSn)).toMatchObject([
      { outcome: 'accepted', fault: action.kind },
    ]);
    expect(at.single.status).toBe(4);
    expect(await readBack(at, at.single)).toMatchObject([{ trackingNumber: 'AWB1' }]);
    expect(await confirm(at, at.single, 'AWB1')).toMatchObject({ errorCode: 120_012_004 });
    expect(at.sandbox.effects.summary().faults).toEqual({ [action.kind]: 1 });
  });

  it('hides a refusal too', async () => {
    const at = await harbour();
    at.sandbox.faults.add({ do: { kind: 'lostAnswer' } });
    await expect(told(at, at.single, 'AWB-1')).rejects.toThrow();
    expect(at.sandbox.effects.attempts()).toMatchObject([
      { outcome: 'refused:120014020', fault: 'lostAnswer' },
    ]);
  });

  it('lets an answer come later although the client has given up, and the effect at once or with it', async () => {
    const at = await harbour();
    const impatient = (order: Harbour['single'], trackingNumber: string) =>
      call(
        at.sandbox,
        at.shop,
        { type: CONFIRM, sendType: 0, sendRequestList: [parcelOf(at, order, trackingNumber)] },
        { signal: AbortSignal.timeout(60) },
      );
    at.sandbox.faults.add({ do: { kind: 'delay', ms: 300 }, times: 1 });
    await expect(impatient(at.single, 'AWB1')).rejects.toThrow();
    expect(at.single.status).toBe(4);
    at.sandbox.faults.add({ do: { kind: 'delay', ms: 300, late: true }, times: 1 });
    await expect(impatient(at.double, 'AWB2')).rejects.toThrow();
    expect(await readBack(at, at.double)).toEqual([]);
    await expect.poll(() => at.double.status).toBe(4);
    expect(at.sandbox.effects.told('AWB2')).toEqual({ arrived: 1, accepted: 1 });
  });

  it('matches by tracking number or by order, wherever in the call they stand', async () => {
    const at = await harbour();
    const error = { kind: 'error', errorCode: 7_000_000, errorMsg: 'x' } as const;
    at.sandbox.faults.add({ match: { trackingNumber: 'AWB2' }, do: error });
    at.sandbox.faults.add({ match: { type: CONFIRM, parentOrderSn: at.double.parentOrderSn }, do: error });
    expect(await confirm(at, at.single, 'AWB2')).toMatchObject({ errorCode: 7_000_000 });
    expect(await confirm(at, at.double, 'AWB3')).toMatchObject({ errorCode: 7_000_000 });
    expect(await readBack(at, at.double)).toEqual([]);
    expect(await confirm(at, at.single, 'AWB1')).toMatchObject({ success: true });
    expect(at.sandbox.ledger.count({ type: CONFIRM, parentOrderSn: at.double.parentOrderSn })).toBe(1);
  });

  it('strikes by a seeded chance', async () => {
    const run = async () => {
      const at = await harbour();
      at.sandbox.faults.add({ probability: 0.5, do: { kind: 'throttle' } });
      const codes: number[] = [];
      for (let i = 0; i < 20; i++) codes.push((await confirm(at, at.single, '')).errorCode);
      return codes;
    };
    const codes = await run();
    expect(new Set(codes)).toEqual(new Set([4_000_004, 120_014_001]));
    expect(await run()).toEqual(codes);
  });
});

describe('a world from an older state', () => {
  it('gets what orders and shops did not have', async () => {
    const at = await harbour();
    const { shops } = JSON.parse(JSON.stringify(at.sandbox.world.snapshot()));
    delete shops[0].shop.warehouses;
    delete shops[0].shop.companies;
    delete shops[0].orders[0].confirmFailure;
    shops[0].shop.revoked = true;
    const world = createWorld(at.sandbox.world.clock);
    world.restore({ shops, packages: [] });
    const shop = world.shop(at.shop.name);
    expect(shop).toEqual({ ...at.shop, revoked: true });
    expect(world.orders(shop)).toEqual(at.sandbox.world.orders(at.shop));
  });
});
