import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseExact } from '../../src/temu/json.ts';
import { sign, signedBody, type TemuParams } from '../../src/temu/sign.ts';
import { recorded } from './recorded.ts';

const { appSecret, vectors, variants } = recorded<{
  appSecret: string;
  vectors: { name: string; params: TemuParams; stringToHash: string; sign: string }[];
  variants: { of: string; change: string; sign: string }[];
}>('sign-vectors.json');

const common = {
  app_key: 'test_app_key',
  access_token: 'test_access_token',
  data_type: 'JSON',
  timestamp: 1767225600,
  version: 'V1',
};
const vector1 = {
  ...common,
  type: 'bg.order.list.v2.get',
  pageNumber: 1,
  pageSize: 100,
  parentOrderStatus: 2,
  updateAtStart: 1767222000,
  updateAtEnd: 1767225600,
  sortby: 'updateTime',
};
const vector2 = {
  ...common,
  type: 'bg.order.list.v2.get',
  pageNumber: 2,
  pageSize: 50,
  regionId: 167,
  hasPreSaleOrder: false,
  parentOrderSnList: ['PO-167-00000000000000001', 'PO-167-00000000000000002'],
  fulfillmentTypeList: ['fulfillBySeller'],
  note: 'Șos. Ștefan cel Mare 5/7',
};
const vector3 = {
  ...common,
  type: 'bg.logistics.shipment.v2.confirm',
  sendType: 0,
  sendRequestList: [
    {
      carrierId: 141252268,
      trackingNumber: 'TEST0000000001',
      selfShippingWarehouseId: 'WH-00000000000000001',
      orderSendInfoList: [
        {
          parentOrderSn: 'PO-167-00000000000000001',
          orderSn: '167-00000000000000011',
          goodsId: 600000000000001,
          skuId: 17000000000001,
          quantity: 2,
        },
        { parentOrderSn: 'PO-167-00000000000000001', orderSn: '167-00000000000000012', quantity: 1 },
      ],
      confirmAcceptance: ['DENY_ADDRESS_CHANGE'],
    },
  ],
};

/** Every object of a value with its keys in alphabetical order: the mistake of vector 3x. */
function nestedSorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(nestedSorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, nestedSorted(inner)]),
  );
}

describe('T15: the signature', () => {
  it.each(vectors)('T15: equals the recorded vector $name', (vector) => {
    expect(sign(vector.params, appSecret)).toBe(vector.sign);
    const hashed = vector.stringToHash.replaceAll('<secret>', appSecret);
    expect(createHash('md5').update(hashed, 'utf8').digest('hex').toUpperCase()).toBe(vector.sign);
  });

  it.each([
    ['1: numbers and strings', vector1, 'E09F02FC4BF5553EAB4B650A82427F42'],
    ['1b: timestamp as text', { ...vector1, timestamp: '1767225600' }, 'E09F02FC4BF5553EAB4B650A82427F42'],
    ['1c: without version', { ...vector1, version: undefined }, '26CCA145EF2D7E91B1050F559EBEE46F'],
    ['2: boolean, arrays, other scripts, slash, spaces', vector2, '1CB8D570126D3294C44F918D6368A1C4'],
    ['3: nested objects', vector3, 'D035C4A5E6E078EA07D066A60B007723'],
  ])('T15: equals the vector of the reference %s', (_, params, expected) => {
    expect(sign(params, appSecret)).toBe(expected);
  });

  it('T15: the wrong one of vector 3x comes of sorted nested keys, and is not ours', () => {
    const wrong = variants.find(({ change }) => change.startsWith('WRONG'))?.sign;
    expect(wrong).toBe('05709D6D1DDE44D49EE15689348BD4DD');
    expect(sign(nestedSorted(vector3) as TemuParams, appSecret)).toBe(wrong);
    expect(sign(vector3, appSecret)).not.toBe(wrong);
  });

  it('T15: leaves out `sign` itself and what is absent', () => {
    const right = sign(vector1, appSecret);
    expect(sign({ ...vector1, sign: 'anything' }, appSecret)).toBe(right);
    expect(sign({ ...vector1, none: undefined, nothing: null }, appSecret)).toBe(right);
    expect(sign({ ...vector1, zero: 0 }, appSecret)).not.toBe(right);
    expect(sign({ ...vector1, empty: '' }, appSecret)).not.toBe(right);
  });

  it('T15: sorts by code unit, upper case before lower, whatever the locale', () => {
    const of = (base: string) => createHash('md5').update(`s${base}s`).digest('hex').toUpperCase();
    expect(sign({ a: 1, B: 2, _c: 3, ä: 4 }, 's')).toBe(of('B2_c3a1ä4'));
  });
});

describe('T15: the body that is sent', () => {
  it('T15: is what was signed, with the sign beside it', () => {
    const body = signedBody({ ...vector3, none: undefined, nothing: null, sign: 'stale' }, appSecret);
    expect(JSON.parse(body)).toEqual({ ...vector3, sign: 'D035C4A5E6E078EA07D066A60B007723' });
    expect(body).not.toContain('stale');
    // nested keys stand in the text as they were signed
    expect(body).toContain(JSON.stringify(vector3.sendRequestList));
  });

  it('T15: big integers go out digit for digit, at the top and nested, and are signed so', () => {
    const id = 897039159485005824n;
    const body = signedBody({ channelId: id, list: [{ channelId: id + 1n }] }, 's');
    expect(body).toContain('"channelId":897039159485005824,');
    expect(body).toContain('[{"channelId":897039159485005825}]');
    const base = 'channelId897039159485005824list[{"channelId":897039159485005825}]';
    const expected = createHash('md5').update(`s${base}s`).digest('hex').toUpperCase();
    expect(parseExact(body)).toMatchObject({ sign: expected });
  });

  const key = fc
    .string({ minLength: 1, maxLength: 8 })
    .filter((text) => text !== 'sign' && text !== '__proto__');
  const params = fc.dictionary(
    key,
    fc.oneof(
      fc.string(),
      fc.integer(),
      fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
      fc.boolean(),
      fc.array(fc.oneof(fc.integer(), fc.string()), { maxLength: 3 }),
    ),
    { noNullPrototype: true },
  );

  it('T15: the order of top-level keys does not matter (property)', () => {
    fc.assert(
      fc.property(params, fc.string(), fc.nat(), (given, secret, turn) => {
        const entries = Object.entries(given);
        const cut = entries.length === 0 ? 0 : turn % entries.length;
        const turned = Object.fromEntries([...entries.slice(cut), ...entries.slice(0, cut)].reverse());
        expect(sign(turned, secret)).toBe(sign(given, secret));
      }),
    );
  });

  it('T15: the order of nested keys does matter (property)', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 2, maxLength: 4 });
    fc.assert(
      fc.property(names, fc.string(), (keys, secret) => {
        const nested = (order: readonly string[]) => Object.fromEntries(order.map((name) => [name, 1]));
        const given = sign({ list: [nested(keys)] }, secret);
        expect(sign({ list: [nested([...keys].reverse())] }, secret)).not.toBe(given);
      }),
    );
  });

  it('T15: whatever is sent verifies against the text that was sent (property)', () => {
    fc.assert(
      fc.property(params, fc.string(), (given, secret) => {
        const sent = parseExact(signedBody(given, secret)) as TemuParams;
        expect(sent.sign).toBe(sign(sent, secret));
        expect(sent.sign).toBe(sign(given, secret));
      }),
    );
  });
});
