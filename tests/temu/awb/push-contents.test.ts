import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Warehouse } from '../../../sandbox/temu/model.ts';
import { shipByHand } from '../../../sandbox/temu/shipment.ts';
import { listAttention } from '../../../src/orders/attention.ts';
import { minutes } from '../../../src/queue/define.ts';
import { retryPushes } from '../../../src/temu/awb/retry.ts';
import { pushTimelines } from '../../../src/temu/awb/timeline.ts';
import { type AwbOrder, type AwbShop, type AwbStand, startAwbStand, UPDATE } from './awb-harness.ts';

let stand: AwbStand;
let shop: AwbShop;
const HOUR = minutes(60);
const COMPANIES = 'bg.logistics.companies.get';
const WAREHOUSES = 'bg.logistics.warehouse.list.get';

beforeAll(async () => {
  stand = await startAwbStand();
  shop = await stand.addShop();
});
afterEach(() => stand.sandbox.faults.clear());
afterAll(() => stand?.close());

const item = (order: AwbOrder, line: number, quantity = 1) => ({
  orderItemId: order.lines[line]?.orderSn ?? '',
  quantity,
});
/** What Temu holds: number → line → units. */
const held = (order: AwbOrder) =>
  Object.fromEntries(
    stand
      .parcelsOf(order)
      .map(({ trackingNumber, contents }) => [
        trackingNumber,
        Object.fromEntries(contents.map(({ orderSn, quantity }) => [orderSn, quantity])),
      ]),
  );

describe('T20: what Temu’s fulfillmentWarning forbids', () => {
  test('is parked before the call, told to the order, and sent once Temu lifts it', async () => {
    const order = await stand.addOrder(shop, {
      finish: (one) => Object.assign(one, { warnings: ['RESTRICT_SELF_SHIPPING'] }),
    });
    await stand.created(order, stand.newAwb());
    expect(await stand.push(order)).toMatchObject({ outcome: 'parked' });
    const error = expect.stringMatching(/RESTRICT_SELF_SHIPPING.*buy its label in Temu's seller centre/);
    expect(await stand.only(order)).toMatchObject({ state: 'parked', error, toldAt: null });
    expect(await stand.row(order)).toMatchObject({ sent: false, error });
    expect(stand.confirms(order)).toBe(0);
    stand.sandbox.world.changeOrder(shop.shop, order.sn, { warnings: [] });
    stand.advance(HOUR);
    await stand.sync(order);
    await stand.tick();
    await stand.pushOn(order);
    expect(await stand.only(order)).toMatchObject({ state: 'sent' });
  });

  test('of one carrier alone: another one goes', async () => {
    const finish = (one: object) => void Object.assign(one, { warnings: ['RESTRICT_SAMEDAY_SELF_SHIPPING'] });
    const order = await stand.addOrder(shop, { finish });
    await stand.created(order, stand.newAwb(), { carrier: 'sameday' });
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({
      state: 'parked',
      error: expect.stringMatching(/another carrier/),
    });
    const next = stand.newAwb();
    await stand.created(order, next, { carrier: 'fancourier' });
    await stand.pushOn(order);
    expect((await stand.pushes(order)).find(({ awb }) => awb === next)).toMatchObject({ state: 'sent' });
    expect(stand.confirms(order)).toBe(1);
  });
});

describe('splits', () => {
  test('A3: parcels of one order wait for each other and are told in one call, sendType 1', async () => {
    const order = await stand.addOrder(shop, { units: [2, 1] });
    const [a, b] = [stand.newAwb(), stand.newAwb()];
    await stand.created(order, a, { items: [item(order, 0)] });
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({
      ...{ state: 'pending', attempts: 0 },
      error: 'waiting for the parcels of 2 more units of the order',
    });
    expect(await stand.row(order)).toEqual({ sent: false, sentAt: null, error: null }); // no failure
    expect(stand.confirms(order)).toBe(0);
    // the other one wakes it, though its next look is a minute away; our line's id is as good as Temu's
    await stand.created(order, b, {
      carrier: 'fancourier',
      items: [item(order, 0), { orderItemId: order.lines[1]?.id ?? '', quantity: 1 }],
    });
    expect(await stand.push(order)).toMatchObject({ outcome: 'sent' });
    const [first, second] = order.lines.map(({ orderSn }) => orderSn) as [string, string];
    expect(held(order)).toEqual({ [a]: { [first]: 1 }, [b]: { [first]: 1, [second]: 1 } });
    const carriers = stand
      .parcelsOf(order)
      .map(({ trackingNumber, carrierId }) => [trackingNumber, carrierId]);
    expect(Object.fromEntries(carriers)).toEqual({ [a]: 910_000_102, [b]: 910_000_101 });
    expect(stand.confirms(order)).toBe(1);
    expect((await stand.pushes(order)).map(({ state }) => state)).toEqual(['sent', 'sent']);
    expect(await stand.row(order)).toMatchObject({ sent: true });
  });

  test('A6: the lost answer of a split settles all its parcels by asking', async () => {
    const order = await stand.addOrder(shop, { units: [1, 1] });
    const awbs = [stand.newAwb(), stand.newAwb()];
    for (const [line, awb] of awbs.entries()) await stand.created(order, awb, { items: [item(order, line)] });
    stand.fault({ kind: 'lostAnswer' });
    await stand.push(order);
    expect((await stand.pushes(order)).map(({ state }) => state)).toEqual(['unknown', 'unknown']);
    expect((await stand.pushOn(order)).map(({ state }) => state)).toEqual(['sent', 'sent']);
    expect(stand.confirms(order)).toBe(1);
  });

  test('A6: an unfinished split that is told again after a cut is told whole', async () => {
    const order = await stand.addOrder(shop, { units: [1, 1] });
    for (const line of [0, 1]) await stand.created(order, stand.newAwb(), { items: [item(order, line)] });
    stand.fault({ kind: 'cut' });
    expect((await stand.pushOn(order)).map(({ state }) => state)).toEqual(['sent', 'sent']);
    expect(stand.heard(order).filter(({ outcome }) => outcome === 'accepted')).toHaveLength(2);
  });

  test('A3: a parcel with too much is parked until the order changes; the others wait', async () => {
    const order = await stand.addOrder(shop, { units: [1] });
    await stand.created(order, stand.newAwb(), { items: [item(order, 0, 2)] });
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({
      state: 'parked',
      error: expect.stringContaining('1 more of line'),
    });
    expect(await stand.row(order)).toMatchObject({ error: expect.stringContaining('1 more of line') });
    expect(stand.confirms(order)).toBe(0);
  });
});

describe('orders that are not ready', () => {
  test('A3: a pending order is waited for without spending attempts, a cancelled one is parked until it changes', async () => {
    const order = await stand.addOrder(shop);
    const at = (status: number) =>
      stand.sandbox.world.changeOrder(
        order.in.shop,
        order.sn,
        { status },
        Math.ceil(stand.deps.clock() / 1000),
      );
    at(1);
    await stand.sync(order);
    await stand.created(order, stand.newAwb());
    for (let look = 0; look < 3; look++) await stand.pushOn(order, 1);
    expect(await stand.only(order)).toMatchObject({
      state: 'pending',
      attempts: 0,
      error: expect.stringContaining('pending'),
    });
    stand.advance(minutes(1));
    at(3);
    await stand.sync(order);
    await stand.pushOn(order, 1);
    expect(await stand.only(order)).toMatchObject({ state: 'parked', error: 'the order is cancelled' });
    stand.advance(minutes(1));
    at(2);
    await stand.sync(order);
    await stand.tick();
    expect(await stand.pushOn(order)).toMatchObject([{ state: 'sent' }]);
  });
});

describe('re-booking', () => {
  async function sentOrder() {
    const order = await stand.addOrder(shop);
    const first = stand.newAwb();
    await stand.created(order, first);
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({ state: 'sent' });
    return { order, first, second: stand.newAwb() };
  }

  test('A3: a second AWB after the first was sent changes Temu’s parcel', async () => {
    const { order, first, second } = await sentOrder();
    await stand.created(order, second, { carrier: 'fancourier' });
    await stand.push(order);
    expect(stand.parcelsOf(order)).toMatchObject([{ trackingNumber: second, carrierId: 910_000_101 }]);
    expect((await stand.pushes(order)).map(({ awb, state }) => [awb, state])).toEqual([
      [first, 'sent'],
      [second, 'sent'],
    ]);
    expect(stand.confirms(order)).toBe(1);
    // and a third one, after a sync that calls the order shipped
    await stand.sync(order);
    const third = stand.newAwb();
    await stand.created(order, third);
    await stand.push(order);
    expect(held(order)).toEqual({ [third]: { [order.lines[0]?.orderSn ?? '']: 1 } });
  });

  test('A6: the lost answer of a change is settled by asking', async () => {
    const { order, second } = await sentOrder();
    await stand.created(order, second);
    stand.fault({ kind: 'lostAnswer' }, { type: UPDATE });
    await stand.push(order);
    expect((await stand.pushes(order))[1]).toMatchObject({ state: 'unknown' });
    await stand.pushOn(order);
    expect((await stand.pushes(order))[1]).toMatchObject({ state: 'sent' });
    expect(stand.heard(order, 'update')).toHaveLength(1);
  });

  test('A6: a change that was cut off is made once more after asking', async () => {
    const { order, second } = await sentOrder();
    await stand.created(order, second);
    stand.fault({ kind: 'cut' }, { type: UPDATE });
    await stand.push(order);
    await stand.pushOn(order);
    expect(held(order)).toEqual({ [second]: expect.any(Object) });
    expect(stand.heard(order, 'update').map(({ outcome }) => outcome)).toEqual(['fault', 'accepted']);
  });

  test('A3: where Temu does not allow it, it is parked with the reason, and the order stays sent', async () => {
    const { order, first, second } = await sentOrder();
    stand.sandbox.world.changeOrder(order.in.shop, order.sn, { packagesLocked: true });
    await stand.created(order, second);
    await stand.push(order);
    expect((await stand.pushes(order))[1]).toMatchObject({
      state: 'parked',
      error: expect.stringContaining('cannot be edited'),
    });
    expect(await stand.row(order)).toMatchObject({
      sent: true,
      error: expect.stringContaining('cannot be edited'),
    });
    expect(held(order)).toEqual({ [first]: expect.any(Object) });
    expect(await stand.notices(order, 'awb-not-sent')).toHaveLength(1);
    stand.sandbox.world.changeOrder(order.in.shop, order.sn, { packagesLocked: false });
    await retryPushes(stand.deps, { order: order.sn });
    await stand.push(order);
    expect(held(order)).toEqual({ [second]: expect.any(Object) });
  });

  test('A3: a second AWB before the first was told takes its place', async () => {
    const order = await stand.addOrder(shop);
    const [first, second] = [stand.newAwb(), stand.newAwb()];
    await stand.created(order, first);
    await stand.created(order, second);
    expect(await stand.push(order)).toMatchObject({ outcome: 'sent', awbs: second });
    expect((await stand.pushes(order)).map(({ awb, state, error }) => ({ awb, state, error }))).toEqual([
      { awb: first, state: 'replaced', error: `replaced by ${second} before it was sent to Temu` },
      { awb: second, state: 'sent', error: null },
    ]);
    expect(stand.sandbox.effects.told(first).arrived).toBe(0);
    expect(await stand.notices(order)).toEqual([]);
    expect(await pushTimelines(stand.deps.db, order.sn)).toMatchObject([
      { push: 'replaced', because: `Not sent: replaced by ${second} before it was sent to Temu.` },
      { push: 'sent' },
    ]);
    expect(
      await listAttention(stand.deps.db, 'parked', stand.deps.clock(), { limit: 1_000, offset: 0 }),
    ).toEqual(expect.not.arrayContaining([expect.objectContaining({ number: order.sn })]));
    // the first one's event once more brings nothing back
    await stand.created(order, first);
    await expect(retryPushes(stand.deps, { order: order.sn })).rejects.toThrow(/already on Temu/);
    expect(held(order)).toEqual({ [second]: expect.any(Object) });
  });

  test('A3: a second AWB takes the place of one that was parked, and not of one that Temu may have', async () => {
    const order = await stand.addOrder(shop);
    const [first, second, third] = [stand.newAwb(), stand.newAwb(), stand.newAwb()];
    await stand.created(order, first, { carrier: 'nobody knows it' });
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({ state: 'parked' });
    stand.fault({ kind: 'lostAnswer' });
    await stand.created(order, second);
    await stand.push(order);
    await stand.created(order, third); // while nobody knows of the second
    expect((await stand.pushes(order)).map(({ state }) => state)).toEqual(['replaced', 'unknown', 'pending']);
    await stand.pushOn(order);
    expect((await stand.pushes(order)).map(({ state }) => state)).toEqual(['replaced', 'sent', 'sent']);
    expect(held(order)).toEqual({ [third]: expect.any(Object) });
    expect(stand.sandbox.effects.told(second)).toEqual({ arrived: 1, accepted: 1 });
  });

  test('A6: a second AWB for an order that was shipped with a foreign number is a conflict', async () => {
    const order = await stand.addOrder(shop);
    shipByHand(stand.sandbox.world, shop.shop.name, order.sn, { trackingNumber: 'BYHAND7' });
    await stand.sync(order);
    const awb = stand.newAwb();
    await stand.created(order, awb);
    await stand.push(order);
    const { state, error } = await stand.only(order);
    expect(state).toBe('parked');
    expect(error).toMatch(new RegExp(`BYHAND7.*${awb}`));
    expect(stand.confirms(order) + stand.heard(order, 'update').length).toBe(0);
  });
});

describe('A4: carriers', () => {
  test('A4: an unknown name is parked with the candidates, pinned, then sent', async () => {
    const order = await stand.addOrder(shop);
    await stand.created(order, stand.newAwb(), { carrier: 'fan' });
    await stand.push(order);
    const parked = await stand.only(order);
    expect(parked.state).toBe('parked');
    expect(parked.error).toContain('FAN Courier (910000101)');
    expect(await stand.row(order)).toMatchObject({ sent: false, error: parked.error });
    expect(stand.confirms(order)).toBe(0);
    await stand.stack.sql`
      insert into carrier_pins (store_id, carrier, provider_id) values (${shop.storeId}, 'FAN', '910000101')`;
    await retryPushes(stand.deps, { order: order.sn });
    expect(await stand.pushOn(order)).toMatchObject([{ state: 'sent' }]);
    expect(stand.parcelsOf(order)).toMatchObject([{ carrierId: 910_000_101 }]);
  });

  test('A4: two of the name are parked with both', async () => {
    const own = await stand.addShop({
      companies: [
        { id: 1, name: 'Sameday' },
        { id: 2, name: 'SAMEDAY' },
      ],
    });
    const order = await stand.addOrder(own);
    await stand.created(order, stand.newAwb());
    await stand.push(order);
    const { state, error } = await stand.only(order);
    expect(state).toBe('parked');
    expect(error).toMatch(/several .*Sameday \(1\), SAMEDAY \(2\)/);
  });

  test('A4: the list is asked for once a day, by the store’s region', async () => {
    const own = await stand.addShop({ country: 'IT' });
    const count = (type: string) => stand.sandbox.ledger.count({ type, appKey: own.shop.appKey });
    const send = async () => {
      const order = await stand.addOrder(own);
      await stand.created(order, stand.newAwb(), { carrier: 'gls' });
      await stand.push(order);
      expect(stand.parcelsOf(order)).toMatchObject([{ carrierId: 547_987_123 }]);
    };
    await send();
    await send();
    stand.advance(23 * minutes(60));
    await send();
    expect([count(COMPANIES), count(WAREHOUSES)]).toEqual([1, 1]);
    stand.advance(2 * minutes(60));
    await send();
    expect([count(COMPANIES), count(WAREHOUSES)]).toEqual([2, 2]);
  });

  const askedOf = (own: AwbShop) => stand.sandbox.ledger.count({ type: COMPANIES, appKey: own.shop.appKey });
  const push = async (own: AwbShop) => {
    const order = await stand.addOrder(own);
    await stand.created(order, stand.newAwb());
    await stand.push(order);
    return await stand.only(order);
  };

  test('A4: a carrier that is newly opened at Temu is found: a list without it is asked for again first', async () => {
    const companies = [{ id: 910_000_101, name: 'FAN Courier' }];
    const own = await stand.addShop({ companies });
    expect(await push(own)).toMatchObject({ state: 'parked' });
    expect(askedOf(own)).toBe(1); // it has just come
    stand.advance(HOUR);
    stand.sandbox.world.setCompanies(own.shop, [...companies, { id: 910_000_102, name: 'Sameday' }]);
    expect(await push(own)).toMatchObject({ state: 'sent' });
    expect(askedOf(own)).toBe(2);
  });

  test('A4: an empty list is believed for minutes, not for a day, and not asked for by each AWB', async () => {
    const own = await stand.addShop();
    const companies = own.shop.companies;
    stand.sandbox.world.setCompanies(own.shop, []);
    for (let awb = 0; awb < 3; awb++) expect(await push(own)).toMatchObject({ state: 'parked' });
    expect(askedOf(own)).toBe(1);
    stand.sandbox.world.setCompanies(own.shop, companies);
    stand.advance(minutes(4));
    expect(await push(own)).toMatchObject({ state: 'sent' });
    expect(askedOf(own)).toBe(2);
  });

  test('A4: a provider id above 2^53 is told digit for digit', async () => {
    const order = await stand.addOrder(shop);
    await stand.created(order, stand.newAwb(), { carrier: 'huge' });
    await stand.stack.sql`
      insert into carrier_pins (store_id, carrier, provider_id) values (${shop.storeId}, 'HUGE', '9007199254740995')`;
    const sent: unknown[] = [];
    const spying = {
      ...stand.deps,
      temu: {
        ...stand.deps.temu,
        call: async (...args: Parameters<typeof stand.deps.temu.call>) => {
          if (args[1] === 'confirmShipment') sent.push(args[2]);
          return await stand.deps.temu.call(...args);
        },
      },
    };
    await stand.push(order, spying);
    expect(sent).toMatchObject([{ sendRequestList: [{ carrierId: 9007199254740995n }] }]);
  });

  test('A4: a list that Temu does not give is tried again; its shape may be an object that holds one', async () => {
    const own = await stand.addShop();
    const order = await stand.addOrder(own);
    await stand.created(order, stand.newAwb());
    stand.fault({ kind: 'html', status: 502 }, { type: COMPANIES });
    await stand.push(order);
    expect(await stand.only(order)).toMatchObject({ state: 'pending', attempts: 1, toldAt: null });
    stand.fault(
      {
        kind: 'wrongJson',
        body: {
          success: true,
          errorCode: 1000000,
          errorMsg: '',
          result: {
            list: [{ logisticsServiceProviderId: 910000102, logisticsServiceProviderName: 'Sameday' }],
          },
        },
      },
      { type: COMPANIES },
    );
    expect(await stand.pushOn(order)).toMatchObject([{ state: 'sent' }]);
  });
});

describe('warehouses', () => {
  const warehouse = (id: string, isDefault: boolean): Warehouse => ({
    ...{ id, name: `House ${id}`, isDefault },
    ...{ regionId: 167, managementType: 1, buyShippingLabel: false },
  });
  const used = async (own: AwbShop) => {
    const order = await stand.addOrder(own);
    await stand.created(order, stand.newAwb());
    await stand.push(order);
    return { order, id: stand.parcelsOf(order)[0]?.warehouseId };
  };

  test('A3: the store’s own, without asking', async () => {
    const own = await stand.addShop({
      warehouses: [warehouse('WH-1', true), warehouse('WH-2', false)],
      warehouseId: 'WH-2',
    });
    expect((await used(own)).id).toBe('WH-2');
    expect(stand.sandbox.ledger.count({ type: WAREHOUSES, appKey: own.shop.appKey })).toBe(0);
  });

  test('A3: else Temu’s default one, else the only one', async () => {
    const withDefault = await stand.addShop({
      warehouses: [warehouse('WH-3', false), warehouse('WH-4', true)],
    });
    expect((await used(withDefault)).id).toBe('WH-4');
    const single = await stand.addShop({ warehouses: [warehouse('WH-5', false)] });
    expect((await used(single)).id).toBe('WH-5');
  });

  test.each<[string, Warehouse[], RegExp]>([
    ['none', [], /no default warehouse .*\(none\)/],
    [
      'two and no default',
      [warehouse('WH-6', false), warehouse('WH-7', false)],
      /House WH-6 \(WH-6\), House WH-7/,
    ],
  ])('A3: with %s the seller must act; once he has, a retry sends', async (_, warehouses, text) => {
    const own = await stand.addShop({ warehouses });
    const { order } = await used(own);
    const { state, error } = await stand.only(order);
    expect(state).toBe('parked');
    expect(error).toMatch(text);
    expect(await stand.notices(order)).toHaveLength(1);
    stand.sandbox.world.setWarehouses(own.shop, [warehouse('WH-8', true)]);
    await retryPushes(stand.deps, { order: order.sn });
    expect(await stand.pushOn(order)).toMatchObject([{ state: 'sent' }]);
    expect(stand.parcelsOf(order)).toMatchObject([{ warehouseId: 'WH-8' }]);
  });
});
