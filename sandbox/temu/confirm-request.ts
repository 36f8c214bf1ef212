import type { ApiError } from './model.ts';
import { digitsOf, fieldsOf, integerOf, listOf, textOf } from './params.ts';
import { badParams } from './shipping-errors.ts';
import type { Params } from './sign.ts';

export interface SendItem {
  parentOrderSn: string;
  orderSn: string;
  quantity: number;
  goodsId: string | undefined;
  skuId: string | undefined;
}

/** Carrier and number of a package or sub-package. */
export interface SendNumber {
  trackingNumber: string;
  carrierId: number;
  warehouseId: string | null;
}

export interface SendPackage extends SendNumber {
  items: SendItem[];
  subs: SendNumber[];
  /** DENY_CANCELLATION, DENY_ADDRESS_CHANGE, DENY_PARENT_RISK_WARNING. */
  acceptance: ReadonlySet<unknown>;
}

export interface ConfirmRequest {
  /** 0: one parent, one package. 1: one parent, several packages. 2: several parents, one package. */
  sendType: 0 | 1 | 2;
  packages: SendPackage[];
}

/** A missing field or one of a wrong type. */
class BadField extends Error {}

/** The parameters of v2.confirm, all at the top level; a missing or wrong one is 3000000 with its path. */
export function readConfirm(params: Params): ConfirmRequest | ApiError {
  try {
    const sendType = integerOf(params.sendType);
    if (sendType !== 0 && sendType !== 1 && sendType !== 2) throw new BadField('sendType');
    const list = filled(params.sendRequestList, 'sendRequestList');
    return { sendType, packages: list.map((one, at) => readPackage(one, `sendRequestList[${at}]`)) };
  } catch (error) {
    if (error instanceof BadField) return badParams(error.message);
    throw error;
  }
}

function filled(value: unknown, path: string): readonly unknown[] {
  const list = listOf(value);
  if (list.length === 0) throw new BadField(path);
  return list;
}

function readPackage(value: unknown, path: string): SendPackage {
  const fields = fieldsOf(value);
  const items = filled(fields.orderSendInfoList, `${path}.orderSendInfoList`);
  return {
    ...readNumber(value, path),
    items: items.map((item, at) => readItem(item, `${path}.orderSendInfoList[${at}]`)),
    subs: listOf(fields.subSendRequests).map((sub, at) => readNumber(sub, `${path}.subSendRequests[${at}]`)),
    acceptance: new Set(listOf(fields.confirmAcceptance)),
  };
}

function readNumber(value: unknown, path: string): SendNumber {
  const fields = fieldsOf(value);
  const { trackingNumber = '', selfShippingWarehouseId = '' } = fields;
  if (trackingNumber !== null && typeof trackingNumber !== 'string')
    throw new BadField(`${path}.trackingNumber`);
  if (selfShippingWarehouseId !== null && typeof selfShippingWarehouseId !== 'string')
    throw new BadField(`${path}.selfShippingWarehouseId`);
  return {
    trackingNumber: trackingNumber ?? '',
    carrierId: natural(fields.carrierId, `${path}.carrierId`),
    warehouseId: selfShippingWarehouseId || null,
  };
}

function readItem(value: unknown, path: string): SendItem {
  const fields = fieldsOf(value);
  const parentOrderSn = textOf(fields.parentOrderSn);
  const orderSn = textOf(fields.orderSn);
  if (!parentOrderSn) throw new BadField(`${path}.parentOrderSn`);
  if (!orderSn) throw new BadField(`${path}.orderSn`);
  const quantity = natural(fields.quantity, `${path}.quantity`);
  return {
    parentOrderSn,
    orderSn,
    quantity,
    goodsId: digitsOf(fields.goodsId),
    skuId: digitsOf(fields.skuId),
  };
}

function natural(value: unknown, path: string): number {
  const number = integerOf(value) ?? Number.NaN;
  if (!(number >= 1)) throw new BadField(path);
  return number;
}
