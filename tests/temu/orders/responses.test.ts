import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ok, type Result } from '../../../src/lib/errors.ts';
import { readEnvelope } from '../../../src/temu/envelope.ts';
import { toInboxRow } from '../../../src/temu/orders/inbox.ts';
import {
  amountResponse,
  listItem,
  listPage,
  parseResponse,
  shippingResponse,
} from '../../../src/temu/orders/responses.ts';
import { recorded, recordedText } from '../recorded.ts';

const item = (parent: object = {}, row: object = {}) => ({
  parentOrderMap: { parentOrderSn: 'PO-1', parentOrderStatus: 2, updateTime: 1736430759, ...parent },
  orderList: [{ orderSn: '1-1', ...row }],
});
const accepts = (value: unknown) => listItem.safeParse(value).success;

/** The payload of a recorded answer, as the client gives it. */
function payloadOf(file: string): Result<unknown> {
  const read = readEnvelope(recordedText(file));
  return read.ok && read.value.kind === 'ok' ? ok(read.value.result) : ok(undefined);
}

describe('Temu’s answers as we read them', () => {
  it.each(['order-list-v1.eu.nested.json', 'order-list-v2.br.nested.restrict-self-shipping.json'])(
    'T6: the recorded page %s is read, every item',
    (file) => {
      const page = parseResponse('orderList', listPage, payloadOf(file));
      expect(page.ok && page.value.totalItemNum).toBeGreaterThan(0);
      if (page.ok)
        for (const one of page.value.pageItems) expect(listItem.safeParse(one).error).toBeUndefined();
    },
  );

  it('T8, T9: the recorded amounts and address are read', () => {
    expect(parseResponse('orderAmount', amountResponse, payloadOf('order-amount-query.eu.json')).ok).toBe(
      true,
    );
    expect(
      parseResponse('orderShipping', shippingResponse, payloadOf('order-shippinginfo-v1.eu.nested.json')).ok,
    ).toBe(true);
  });

  it('T13: a shipping payload of null, as for shipped orders, is an answer', () => {
    expect(parseResponse('orderShipping', shippingResponse, ok(null))).toEqual(ok(null));
  });

  it('R4: a payload of another shape is malformed, and the field is named', () => {
    expect(parseResponse('orderList', listPage, ok({ totalItemNum: 'many', pageItems: [] }))).toMatchObject({
      ok: false,
      failure: { kind: 'malformed', message: expect.stringContaining('totalItemNum') },
    });
    expect(parseResponse('orderAmount', amountResponse, ok({ parentOrderMap: [] }))).toMatchObject({
      failure: { kind: 'malformed', message: expect.stringContaining('parentOrderMap') },
    });
    expect(parseResponse('orderList', listPage, ok('x'))).toMatchObject({ failure: { kind: 'malformed' } });
  });

  it('R4: no value at all makes a reader throw (property)', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: false }), (value) => {
        for (const schema of [listPage, amountResponse, shippingResponse])
          expect(parseResponse('orderList', schema as typeof listPage, ok(value))).toHaveProperty('ok');
      }),
    );
  });

  it('T6: times are Unix seconds; null, 0 and none mean none', () => {
    const times = (value: unknown) =>
      listItem.parse(item({ parentOrderTime: value })).parentOrderMap.parentOrderTime;
    expect(times(1736430158)).toEqual(new Date('2025-01-09T13:42:38Z'));
    expect(times('1736430158')).toEqual(new Date('2025-01-09T13:42:38Z'));
    for (const none of [null, 0, undefined]) expect(times(none)).toBeNull();
  });

  it.each<[unknown, number | string | null]>([
    [2, 2],
    ['2', 2],
    [' 41 ', 41],
    [66, 66],
    [-1, -1],
    [2.5, 2.5],
    ['2.5', '2.5'],
    ['-2', '-2'],
    ['SHIPPED', 'SHIPPED'],
    ['', ''],
    [true, 'true'],
    [10n ** 20n, '100000000000000000000'],
    [null, null],
    [undefined, null],
    [{ of: 2 }, null],
    [[2], null],
  ])('T7: no status is a reason to lose the order: %o is read as %o', (given, read) => {
    expect(listItem.parse(item({ parentOrderStatus: given })).parentOrderMap.parentOrderStatus).toBe(read);
    expect(toInboxRow(item({ parentOrderStatus: given })).error).toBeNull();
  });

  it('T7: a status without end is cut; an order without the field has none', () => {
    expect(listItem.parse(item({ parentOrderStatus: '9'.repeat(5_000) })).parentOrderMap).toMatchObject({
      parentOrderStatus: '9'.repeat(100),
    });
    const parentOrderMap = { parentOrderSn: 'PO-1', updateTime: 5 };
    expect(listItem.parse({ parentOrderMap }).parentOrderMap.parentOrderStatus).toBeNull();
  });

  it('T6: a line’s status may be a text of digits, too', () => {
    const statusOf = (given: unknown) =>
      listItem.parse(item({}, { orderStatus: given })).orderList[0]?.orderStatus;
    expect(['2', 41, null, undefined].map(statusOf)).toEqual([2, 41, null, undefined]);
    for (const other of ['SHIPPED', '', 2.5, {}])
      expect(accepts(item({}, { orderStatus: other }))).toBe(false);
  });

  it('R3: what Postgres would refuse is refused here, where it fails alone', () => {
    expect(accepts(item())).toBe(true);
    // milliseconds for seconds, years before Christ: no timestamptz takes their ISO text
    for (const time of [1736430759000, -62_135_596_801, 1e30, 10n ** 30n, Number.NaN])
      expect(accepts(item({ updateTime: time })), `updateTime ${time}`).toBe(false);
    expect(accepts(item({ parentOrderTime: 1736430759000 }))).toBe(false);
    expect(accepts(item({ updateTime: null }))).toBe(false);
    expect(accepts(item({ regionId: 2 ** 31 }))).toBe(false);
    expect(accepts(item({ parentOrderSn: 'x'.repeat(3_000) }))).toBe(false);
    for (const quantity of [3_000_000_000, -1, 1.5, '1'])
      expect(accepts(item({}, { originalOrderQuantity: quantity })), `quantity ${quantity}`).toBe(false);
    expect(accepts(item({}, { skuId: 'x'.repeat(3_000) }))).toBe(false);
    expect(accepts({ ...item(), orderList: [{ orderSn: '1' }, { orderSn: 1 }] })).toBe(false);

    const amount = (value: unknown) =>
      amountResponse.safeParse({ parentOrderMap: { basePriceTotal: { amount: value, currency: 'EUR' } } })
        .success;
    expect(amount(99_999_999_999)).toBe(true);
    for (const value of [10 ** 12, -(10 ** 12), 10n ** 40n, 0.5, '100'])
      expect(amount(value), `amount ${value}`).toBe(false);
  });
});

describe('T4: a page’s item as an inbox row', () => {
  const [recordedItem] = recorded<{ result: { result: { pageItems: unknown[] } } }>(
    'order-list-v1.eu.nested.json',
  ).result.result.pageItems;

  it('T4: keeps the item as it came', () => {
    const row = toInboxRow(recordedItem);
    expect(row).toMatchObject({
      parentOrderSn: 'PO-076-13925293151271879',
      updateTime: new Date(1736430759_000),
      error: null,
    });
    expect(JSON.parse(row.payload)).toEqual(recordedItem);
  });

  it('T4: digits above 2^53 stay', () => {
    expect(toInboxRow(item({}, { skuId: 897039159485005824n })).payload).toContain(
      '"skuId":897039159485005824',
    );
  });

  it('R3: a title cut in the middle of an emoji, a NUL, a text that looks like one: jsonb takes them', () => {
    const { payload, parentOrderSn, error } = toInboxRow(
      item(
        { parentOrderSn: 'PO\u0000-1' },
        { goodsName: 'cut \ud83d', spec: 'a\u0000b', originalGoodsName: 'written \\u0000' },
      ),
    );
    expect(error).toBeNull();
    expect(parentOrderSn).toBe('PO-1');
    expect(JSON.parse(payload).orderList[0]).toMatchObject({
      goodsName: 'cut \ufffd',
      spec: 'ab',
      originalGoodsName: 'written \\u0000',
    });
  });

  it.each<[string, unknown, string | RegExp]>([
    ['no time', { parentOrderMap: { parentOrderSn: 'PO-1', parentOrderStatus: 2 } }, 'PO-1'],
    ['no number', { parentOrderMap: { updateTime: 5, parentOrderStatus: 2 } }, /^unreadable-[0-9a-f]{16}$/],
    ['a number without end', item({ parentOrderSn: 'x'.repeat(5_000) }), /^unreadable-/],
    ['null', null, /^unreadable-/],
    ['a text', 'order', /^unreadable-/],
    ['no parent', { parentOrderMap: null }, /^unreadable-/],
  ])('R3: an item that cannot be read (%s) is kept, with the reason', (_, given, sn) => {
    const row = toInboxRow(given);
    expect(row.parentOrderSn).toEqual(typeof sn === 'string' ? sn : expect.stringMatching(sn));
    expect(row.error).toMatch(/^Temu's list item is unreadable: /);
  });

  it('R3: a copy that can be read wins over one that cannot, whichever came first', () => {
    // its own time where it has one, else older than everything: "now" would outrank Temu's next good copy
    expect(toInboxRow(item({ regionId: 'none' })).updateTime).toEqual(new Date(1736430759_000));
    expect(toInboxRow(item({ updateTime: 'soon' })).updateTime).toEqual(new Date(0));
    expect(toInboxRow(null).updateTime).toEqual(new Date(0));
  });

  it('T18: fields that nobody knows are not kept, readable or not: they may tell of the buyer', () => {
    const buyer = { receiptName: 'Ada Planted', contact: [{ name: 'Ada Planted' }], name: { first: 'Ada' } };
    for (const more of [buyer, { ...buyer, updateTime: 'soon' }]) {
      const row = toInboxRow({ ...(item(more, buyer) as object), remark: 'ring for Ada' });
      expect(row.payload).not.toMatch(/Ada|Planted/);
      expect(JSON.parse(row.payload).parentOrderMap.parentOrderSn).toBe(row.parentOrderSn);
    }
  });

  it('R3, R4: every value becomes a row that Postgres takes (property)', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true }), (value) => {
        const row = toInboxRow(value);
        expect(row.parentOrderSn.length).toBeGreaterThan(0);
        expect(row.updateTime.getTime()).toBeGreaterThanOrEqual(0);
        expect(() => JSON.parse(row.payload)).not.toThrow();
      }),
    );
  });
});
