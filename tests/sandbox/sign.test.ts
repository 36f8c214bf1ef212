import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RECORDED_FOLDER } from '../../sandbox/temu/recorded.ts';
import { type Params, parseParams, signatureOf } from '../../sandbox/temu/sign.ts';

const { appSecret, vectors } = JSON.parse(
  readFileSync(join(RECORDED_FOLDER, 'sign-vectors.json'), 'utf8'),
) as {
  appSecret: string;
  vectors: { name: string; params: Params; sign: string }[];
};
const common = {
  app_key: 'test_app_key',
  access_token: 'test_access_token',
  data_type: 'JSON',
  timestamp: 1767225600,
  version: 'V1',
};

/** As the server sees it: through the text of a request. */
const signed = (params: Params): string => signatureOf(parseParams(JSON.stringify(params)), appSecret);

describe('signatures (signature-method-for-api-request)', () => {
  it.each(vectors)('agree with the vector $name', ({ params, sign }) => {
    expect(signed(params)).toBe(sign);
    expect(signed({ ...params, timestamp: String(params.timestamp) })).toBe(sign);
    expect(signed({ ...params, sign: 'anything' })).toBe(sign);
    expect(signed({ ...params, missing: null })).toBe(sign);
  });

  it('take part with every parameter that is sent, version too', () => {
    const { version: _, ...params } = { ...vectors[0]?.params };
    expect(signed(params)).toBe('26CCA145EF2D7E91B1050F559EBEE46F');
  });

  it('write booleans, arrays, slashes, spaces and other scripts as they are', () => {
    const sign = signed({
      ...common,
      type: 'bg.order.list.v2.get',
      pageNumber: 2,
      pageSize: 50,
      regionId: 167,
      hasPreSaleOrder: false,
      parentOrderSnList: ['PO-167-00000000000000001', 'PO-167-00000000000000002'],
      fulfillmentTypeList: ['fulfillBySeller'],
      note: 'Șos. Ștefan cel Mare 5/7',
    });
    expect(sign).toBe('1CB8D570126D3294C44F918D6368A1C4');
  });

  it('keep nested keys in the order received', () => {
    const first = {
      parentOrderSn: 'PO-167-00000000000000001',
      orderSn: '167-00000000000000011',
      goodsId: 600000000000001,
      skuId: 17000000000001,
      quantity: 2,
    };
    const second = {
      parentOrderSn: 'PO-167-00000000000000001',
      orderSn: '167-00000000000000012',
      quantity: 1,
    };
    const sign = signed({
      ...common,
      type: 'bg.logistics.shipment.v2.confirm',
      sendType: 0,
      sendRequestList: [
        {
          carrierId: 141252268,
          trackingNumber: 'TEST0000000001',
          selfShippingWarehouseId: 'WH-00000000000000001',
          orderSendInfoList: [first, second],
          confirmAcceptance: ['DENY_ADDRESS_CHANGE'],
        },
      ],
    });
    expect(sign).toBe('D035C4A5E6E078EA07D066A60B007723');
    expect(sign).not.toBe('05709D6D1DDE44D49EE15689348BD4DD');
  });

  it('lose no digit of a number above 2^53', () => {
    const text = '{"channelId":897039159485005824,"list":[{"id":897039159485005823}]}';
    const wrong = '{"channelId":897039159485005824,"list":[{"id":897039159485005824}]}';
    expect(signatureOf(parseParams(text), 's')).not.toBe(signatureOf(parseParams(wrong), 's'));
  });
});
