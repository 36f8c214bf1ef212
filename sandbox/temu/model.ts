/**
 * The sandbox's model of shops and orders. Temu's JSON (render.ts) and the rows that Orderfleet must have (expected.ts)
 * are both derived from it, independently of each other.
 *
 * Ids are decimal text because some are above 2^53; they are written on the wire as bare JSON numbers.
 */
export type Region = 'EU' | 'US' | 'GLOBAL';
export type HostName = 'eu' | 'us' | 'global';

/** A row to seed in `temu_products` (T10). */
export interface Product {
  temu_sku_id: string;
  sku: string;
}

/** A carrier that bg.logistics.companies.get offers. */
export interface Company {
  id: number;
  name: string;
  /** logisticsBrandName; default: the name. */
  brand?: string;
  /** Region ids that it is offered in; default: all. */
  regions?: readonly number[];
  /** Format of its tracking numbers (120014023 otherwise); default: any. */
  pattern?: string;
}

export interface Warehouse {
  /** WH-… */
  id: string;
  name: string;
  isDefault: boolean;
  regionId: number;
  /** Null: not filled in at the seller center, 120011086. */
  managementType: number | null;
  buyShippingLabel: boolean;
}

export interface ShopSpec {
  name: string;
  appKey: string;
  appSecret: string;
  accessToken: string;
  region: Region;
  /** ISO-2 country of the seller's account, for total_vat or total_sales_tax (T8). */
  country: string;
  /** Hosts that accept its app; default: only its own region's host. */
  hosts?: readonly HostName[];
  /** Response of another region's host: the unknown-app text (default) or Temu's wrong-region code. */
  wrongHostAnswer?: 'unknownApp' | 'wrongRegion';
  /** False: bg.order.amount.query answers 3000032, as before Temu's white-listing. Default true. */
  amountScope?: boolean;
  /** API types this token may not call (3000032), in addition to amountScope. */
  deniedTypes?: readonly string[];
  /** Rows of temu_products; default: those of the shop's generated catalogue. */
  products?: readonly Product[];
  /** Default: those of carriers.ts, by region. */
  companies?: readonly Company[];
  /** Default: two, one of them the default one. */
  warehouses?: readonly Warehouse[];
  /** False: its orders are not shipped by simulation; each waits until the API confirms it. Default true. */
  shipsItself?: boolean;
}

type ListOfShop = 'products' | 'deniedTypes' | 'hosts' | 'companies' | 'warehouses';

export interface Shop extends Required<Omit<ShopSpec, ListOfShop>> {
  hosts: readonly HostName[];
  deniedTypes: readonly string[];
  products: readonly Product[];
  companies: readonly Company[];
  warehouses: readonly Warehouse[];
  /** True: the token answers 3000034. */
  revoked: boolean;
}

/** What the generator needs of a shop; every Shop has it. */
export type ShopIdentity = Pick<ShopSpec, 'name' | 'region' | 'country'>;

export interface ApiError {
  errorCode: number;
  errorMsg: string;
}

/** One row of Temu's orderList. */
export interface OrderLine {
  orderSn: string;
  status: number;
  skuId: string;
  goodsId: string;
  productSkuId: string;
  productId: string;
  goodsName: string;
  spec: string;
  thumbUrl: string;
  extCode: string;
  /** Units ordered (originalOrderQuantity). */
  ordered: number;
  /** Units of them that were cancelled before shipment. */
  cancelled: number;
  /** Price of one unit in minor units of the order's currency; null as Temu sometimes answers. */
  unitPrice: number | null;
}

/** Order totals in minor units; null is an amount that Temu has not settled. */
export interface OrderAmounts {
  taxTotal: number | null;
  taxTotalAfterDiscount: number | null;
  basePriceTotal: number | null;
  shippingAmountTotal: number | null;
  estimatedRevenue: number | null;
  estimatedRevenueDeduction: number | null;
  discountFromTEMU: number | null;
  discountFromSeller: number | null;
  refundsTotal: number | null;
}

interface Address {
  name: string | null;
  mobile: string | null;
  mail: string | null;
  countryName: string | null;
  /** ISO-2; null for an unknown name. */
  countryCode: string | null;
  state: string | null;
  city: string | null;
  street1: string | null;
  street2: string | null;
  postCode: string | null;
}

/** A shipping call that fails: at the inner level, the outer one, or both (T13). */
interface ShippingFailure {
  inner?: ApiError;
  outer?: ApiError;
}

export interface SandboxOrder {
  parentOrderSn: string;
  shopName: string;
  /** Country of the shop's account (ISO-2). */
  shopCountry: string;
  /** Temu's parentOrderStatus. */
  status: number;
  /** Unix seconds, as all times of an order. */
  createdAt: number;
  updatedAt: number;
  pendingUntil: number | null;
  confirmedAt: number | null;
  shipBy: number | null;
  latestDelivery: number | null;
  shippedAt: number | null;
  regionId: number;
  siteId: number;
  currency: string;
  lines: OrderLine[];
  amounts: OrderAmounts;
  address: Address;
  /** parentOrderLabel entries that are set (value 1); a `pending_…` one keeps the order from being shipped. */
  labels: string[];
  /** fulfillmentWarning; RESTRICT_SELF_SHIPPING refuses every confirmation. */
  warnings: string[];
  /** Set: bg.order.amount.query fails with this for this order. */
  amountFailure: ApiError | null;
  /** Set: the shipping call fails with this for this order. */
  shippingFailure: ShippingFailure | null;
  /** Set: confirming its shipment fails with this. */
  confirmFailure: ApiError | null;
  /** True: the carrier and number of its packages can no longer be edited (120015529). */
  packagesLocked: boolean;
  /** Response of the shipping call once the order is shipped or cancelled: without the address. */
  withoutAddress: 'error' | 'null' | 'empty';
  /** Labels for coverage checks. */
  kinds: string[];
  /** Recorded responses as text, served verbatim until the order changes. */
  verbatim: { listItem: string; amount: string | null; shipping: string | null } | null;
}

export interface SubPackage {
  packageSn: string;
  trackingNumber: string;
  carrierId: number;
  warehouseId: string | null;
}

/** A parcel as Temu knows it. */
export interface Package extends SubPackage {
  shop: string;
  contents: { parentOrderSn: string; orderSn: string; quantity: number }[];
  subs: SubPackage[];
  /** Shipped at the seller center and not through the API. */
  byHand: boolean;
}

/** Host of a region. */
export function hostOf(region: Region): HostName {
  return region.toLowerCase() as HostName;
}

/** Statuses for which Temu no longer returns an address: cancelled, shipped, received. */
export function addressWithheld(status: number): boolean {
  return status === 3 || status === 4 || status === 5;
}

/** Decimal places of a currency at Temu (sites.json "priceType"): JPY and KRW have no minor unit. */
export function decimalsOf(currency: string): 0 | 2 {
  return currency === 'JPY' || currency === 'KRW' ? 0 : 2;
}
