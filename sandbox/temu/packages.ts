import type { Package, SubPackage } from './model.ts';

/** All parcels that Temu knows, of every shop: a tracking number is used only once. */
export interface Packages {
  add(parcel: Package): void;
  /** The parcels of an order, or those with something of one of its rows; oldest first. */
  ofOrder(shop: string, parentOrderSn: string, orderSn?: string): Package[];
  bySn(shop: string, packageSn: string): Package | undefined;
  /** The parcel that a sub-package belongs to. */
  bySubSn(shop: string, packageSn: string): Package | undefined;
  /** The parcel, or the parcel of the sub-package, that carries this number now; of any shop. */
  withNumber(trackingNumber: string): Package | undefined;
  /** Sets another carrier and number; the previous number is free again. */
  change(parcel: Package, change: Omit<SubPackage, 'packageSn'>): void;
  list(): Package[];
  replace(parcels: readonly Package[]): void;
  removeShop(shop: string): void;
}

export function createPackages(): Packages {
  let all = new Set<Package>();
  const byOrder = new Map<string, Package[]>();
  const bySn = new Map<string, Package>();
  const bySubSn = new Map<string, Package>();
  const byNumber = new Map<string, Package>();

  const key = (shop: string, sn: string): string => `${shop}\n${sn}`;
  const add = (parcel: Package): void => {
    all.add(parcel);
    bySn.set(key(parcel.shop, parcel.packageSn), parcel);
    byNumber.set(parcel.trackingNumber, parcel);
    for (const sub of parcel.subs) {
      bySubSn.set(key(parcel.shop, sub.packageSn), parcel);
      byNumber.set(sub.trackingNumber, parcel);
    }
    for (const sn of new Set(parcel.contents.map(({ parentOrderSn }) => parentOrderSn))) {
      byOrder.set(key(parcel.shop, sn), [...(byOrder.get(key(parcel.shop, sn)) ?? []), parcel]);
    }
  };
  const replace = (parcels: readonly Package[]): void => {
    all = new Set();
    for (const index of [byOrder, bySn, bySubSn, byNumber]) index.clear();
    for (const parcel of parcels) add(parcel);
  };
  return {
    add,
    ofOrder: (shop, parentOrderSn, orderSn) =>
      (byOrder.get(key(shop, parentOrderSn)) ?? []).filter(
        ({ contents }) => orderSn === undefined || contents.some((item) => item.orderSn === orderSn),
      ),
    bySn: (shop, packageSn) => bySn.get(key(shop, packageSn)),
    bySubSn: (shop, packageSn) => bySubSn.get(key(shop, packageSn)),
    withNumber: (trackingNumber) => byNumber.get(trackingNumber),
    change: (parcel, change) => {
      byNumber.delete(parcel.trackingNumber);
      Object.assign(parcel, change);
      byNumber.set(parcel.trackingNumber, parcel);
    },
    list: () => [...all],
    replace,
    removeShop: (shop) => replace([...all].filter((parcel) => parcel.shop !== shop)),
  };
}
