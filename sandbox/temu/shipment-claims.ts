import type { ShipmentClaim } from '../effects.ts';
import { fieldsOf, integerOf, listOf, textOf } from './params.ts';
import { CONFIRM, UPDATE } from './shipment.ts';
import type { Params } from './sign.ts';
import type { World } from './world.ts';

/** A call's claims about parcels, read before any check: a rejected number was sent, too. Empty for other calls. */
export function claimsOf(params: Params, world: World): ShipmentClaim[] {
  if (params.type === CONFIRM) return ofConfirm(params);
  return params.type === UPDATE ? ofUpdate(params, world) : [];
}

type Fields = Readonly<Record<string, unknown>>;

function ofConfirm(params: Params): ShipmentClaim[] {
  const parcels = listOf(params.sendRequestList).map(fieldsOf);
  return (parcels.length > 0 ? parcels : [{}]).flatMap((parcel) => {
    const items = listOf(parcel.orderSendInfoList).map(fieldsOf);
    const subs = listOf(parcel.subSendRequests).map(fieldsOf);
    return [parcel, ...subs].flatMap((number) => {
      const common = {
        ...numberOf(number, number.carrierId),
        via: 'confirm',
      } as const;
      return byParent(items).map(([parentOrderSn, orderSns]) => ({ parentOrderSn, orderSns, ...common }));
    });
  });
}

function numberOf(fields: Fields, carrier: unknown) {
  const carrierId = integerOf(carrier) ?? Number.NaN;
  return {
    trackingNumber: textOf(fields.trackingNumber) ?? null,
    carrierId: Number.isNaN(carrierId) ? null : carrierId,
    warehouseId: textOf(fields.selfShippingWarehouseId) ?? null,
  };
}

function byParent(items: readonly Fields[]): [string | null, string[]][] {
  const parents = new Map<string | null, string[]>();
  for (const item of items) {
    const parent = textOf(item.parentOrderSn) ?? null;
    parents.set(parent, [
      ...(parents.get(parent) ?? []),
      ...(textOf(item.orderSn) ? [String(item.orderSn)] : []),
    ]);
  }
  return parents.size > 0 ? [...parents] : [[null, []]];
}

function ofUpdate(params: Params, world: World): ShipmentClaim[] {
  const shop = world.shopOfToken(textOf(params.access_token) ?? '');
  const edits = listOf(params.editPackageRequestList).map(fieldsOf);
  return (edits.length > 0 ? edits : [{} as Fields]).flatMap((edit) => {
    const parcel = shop && world.packages.bySn(shop.name, textOf(edit.packageSn) ?? '');
    const common = { ...numberOf(edit, edit.shipCompanyId), via: 'update' } as const;
    return byParent(parcel?.contents ?? []).map(([parentOrderSn, orderSns]) => ({
      parentOrderSn,
      orderSns,
      ...common,
    }));
  });
}
