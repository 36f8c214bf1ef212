import type { ApiCall } from './apis.ts';
import { integerOf } from './params.ts';
import type { Rendered } from './render.ts';

/** bg.logistics.companies.get: the carriers of a region; a region without any has an empty list. */
export function companies({ params, shop }: ApiCall): Rendered {
  const regionId = integerOf(params.regionId);
  if (regionId === undefined || Number.isNaN(regionId)) {
    return { outer: { errorCode: 3_000_000, errorMsg: 'BAD_PARAMS: regionId' } };
  }
  const offered = shop.companies.filter(({ regions }) => !regions || regions.includes(regionId));
  return {
    ok: JSON.stringify(
      offered.map(({ id, name, brand = name }) => ({
        logisticsServiceProviderId: id,
        logisticsServiceProviderName: name,
        logisticsBrandName: brand,
      })),
    ),
  };
}

/** bg.logistics.warehouse.list.get: all, or those that may buy labels. */
export function warehouses({ params, shop }: ApiCall): Rendered {
  const buying = params.returnEnableBuyShippingLabelOnly === true;
  const wanted = shop.warehouses.filter(({ buyShippingLabel }) => !buying || buyShippingLabel);
  return {
    ok: JSON.stringify({
      warehouseList: wanted.map((warehouse) => ({
        defaultWarehouse: warehouse.isDefault,
        warehouseId: warehouse.id,
        warehouseBrand: warehouse.managementType === null ? null : 'Self-operated',
        regionId1: warehouse.regionId,
        warehouseName: warehouse.name,
        warehouseManagementType: warehouse.managementType,
        enableBuyShippingLabel: warehouse.buyShippingLabel,
      })),
    }),
  };
}
