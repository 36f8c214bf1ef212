import type { Random } from '../random.ts';
import type { Catalogue } from './catalogue.ts';
import type { SandboxOrder } from './model.ts';

/** One kind of order from the spec: its fixed properties; everything else is random. */
export interface Scenario {
  name: string;
  /** How often, relative to the others. */
  weight: number;
  status?: number;
  /** How long ago it changed, relative to the 30 minutes of T12. */
  updated?: 'recent' | 'old';
  /** Where the first article comes from. */
  pool?: keyof Catalogue;
  articles?: number;
  /** Prices of the first article. */
  prices?: 1 | 2 | 3;
  /** Units of the first article at its first price. */
  units?: number;
  /** Several rows of one unit each instead of one row with a quantity. */
  singleRows?: boolean;
  /** Final modification of the generated order. */
  finish?: (order: SandboxOrder, random: Random) => void;
}

/** Cancels every unit. */
export function cancelAll(order: SandboxOrder): void {
  for (const line of order.lines) {
    line.cancelled = line.ordered;
    if (order.status === 3) line.status = 3;
  }
}

/** Cancels some units but leaves at least one. A row that is cancelled completely becomes status 3. */
export function cancelSome(order: SandboxOrder, random: Random): void {
  const units = order.lines.reduce((sum, { ordered }) => sum + ordered, 0);
  let left = random.int(1, Math.max(1, units - 1));
  for (const line of random.shuffle(order.lines)) {
    const taken = Math.min(left, line.ordered);
    line.cancelled = taken;
    if (taken === line.ordered) line.status = 3;
    left -= taken;
  }
}

const BUSINESS_ERROR = { errorCode: 7_000_000, errorMsg: 'BUSINESS_SERVICE_ERROR' };
const NOT_READY = {
  errorCode: 140_020_008,
  errorMsg: 'Some amount fields are still undergoing system calculation. Please try again later.',
};
const INVALID_PARAM = { errorCode: 40_003, errorMsg: 'invalid param' };
const COUNTRY_CLOSED = {
  errorCode: 180_020_001,
  errorMsg: 'This country has not yet opened address query capabilities',
};

/** Every kind of order; the weights add up to about 1,000. */
export const SCENARIOS: readonly Scenario[] = [
  { name: 'plain', weight: 640 },
  { name: 'singleRows', weight: 60, singleRows: true, units: 3 },
  { name: 'twoPrices', weight: 40, prices: 2, units: 2 },
  { name: 'twoPricesSingleRows', weight: 20, prices: 2, units: 2, singleRows: true, status: 2 },
  { name: 'threePrices', weight: 15, prices: 3, units: 2 },
  { name: 'partialCancelRecent', weight: 15, status: 2, updated: 'recent', units: 3, finish: cancelSome },
  { name: 'partialCancelOld', weight: 25, status: 2, updated: 'old', units: 3, finish: cancelSome },
  {
    name: 'partialCancelRowsOld',
    weight: 15,
    status: 2,
    updated: 'old',
    units: 3,
    singleRows: true,
    finish: cancelSome,
  },
  { name: 'partialCancelPending', weight: 6, status: 1, updated: 'recent', units: 2, finish: cancelSome },
  { name: 'partialCancelPendingOld', weight: 4, status: 1, updated: 'old', units: 2, finish: cancelSome },
  { name: 'partialCancelShipped', weight: 8, status: 4, updated: 'recent', units: 3, finish: cancelSome },
  {
    name: 'partialCancelPartlyShipped',
    weight: 5,
    status: 41,
    updated: 'recent',
    articles: 2,
    finish: cancelLast,
  },
  { name: 'fullCancelRecent', weight: 10, status: 3, updated: 'recent', finish: cancelAll },
  { name: 'fullCancelOld', weight: 20, status: 3, updated: 'old', finish: cancelAll },
  { name: 'fullCancelStillOpenRecent', weight: 5, status: 2, updated: 'recent', finish: cancelAll },
  { name: 'fullCancelStillOpenOld', weight: 5, status: 2, updated: 'old', finish: cancelAll },
  { name: 'unknownSku', weight: 20, pool: 'unmapped' },
  { name: 'duplicateSku', weight: 20, pool: 'doubled' },
  { name: 'duplicateSkuTwoPrices', weight: 5, pool: 'doubled', prices: 2 },
  { name: 'bigIdsOrder', weight: 10, pool: 'big' },
  { name: 'nullAmounts', weight: 15, finish: nullAmounts },
  { name: 'nullPrice', weight: 8, finish: nullPrices },
  { name: 'priceFails', weight: 6, status: 2, updated: 'old', finish: failPrice(BUSINESS_ERROR) },
  { name: 'priceNotReady', weight: 3, status: 2, updated: 'old', finish: failPrice(NOT_READY) },
  { name: 'priceFailsPartlyShipped', weight: 2, status: 41, finish: failPrice(BUSINESS_ERROR) },
  { name: 'priceFailsShipped', weight: 3, status: 5, finish: failPrice(BUSINESS_ERROR) },
  { name: 'priceFailsPending', weight: 3, status: 1, finish: failPrice(NOT_READY) },
  {
    name: 'shippingFails',
    weight: 6,
    status: 2,
    updated: 'old',
    finish: failShipping({ inner: INVALID_PARAM }),
  },
  {
    name: 'shippingFailsOuter',
    weight: 3,
    status: 2,
    updated: 'old',
    finish: failShipping({ outer: COUNTRY_CLOSED }),
  },
  {
    name: 'shippingFailsBoth',
    weight: 3,
    status: 2,
    finish: failShipping({ inner: INVALID_PARAM, outer: COUNTRY_CLOSED }),
  },
  {
    name: 'shippingFailsPartlyShipped',
    weight: 2,
    status: 51,
    finish: failShipping({ inner: INVALID_PARAM }),
  },
  { name: 'bothFail', weight: 2, status: 2, updated: 'old', finish: failBoth },
  { name: 'unknownStatus', weight: 3, status: 6 },
  ...[1, 2, 3, 4, 5, 41, 51].map((status) => ({
    name: `status${status}Order`,
    weight: 1,
    status,
    ...(status === 3 && { finish: cancelAll }),
  })),
];

/** A partly shipped order whose unshipped part is cancelled. */
function cancelLast(order: SandboxOrder): void {
  const last = order.lines.at(-1);
  if (!last) return;
  last.cancelled = last.ordered;
  last.status = 3;
}

/** Both discounts together: their sum when only one is null is undocumented. */
function nullAmounts(order: SandboxOrder, random: Random): void {
  const { amounts } = order;
  amounts.taxTotalAfterDiscount = null;
  amounts.refundsTotal = null;
  if (random.chance(0.5)) amounts.estimatedRevenue = null;
  if (random.chance(0.5)) {
    amounts.discountFromTEMU = null;
    amounts.discountFromSeller = null;
  }
  if (random.chance(0.3)) amounts.shippingAmountTotal = null;
  if (random.chance(0.2)) amounts.basePriceTotal = null;
}

function nullPrices(order: SandboxOrder): void {
  for (const line of order.lines) line.unitPrice = null;
}

function failPrice(failure: SandboxOrder['amountFailure']): (order: SandboxOrder) => void {
  return (order) => {
    order.amountFailure = failure;
  };
}

function failShipping(failure: SandboxOrder['shippingFailure']): (order: SandboxOrder) => void {
  return (order) => {
    order.shippingFailure = failure;
  };
}

function failBoth(order: SandboxOrder): void {
  order.amountFailure = BUSINESS_ERROR;
  order.shippingFailure = { inner: INVALID_PARAM };
}

export function pickScenario(random: Random, scenarios: readonly Scenario[]): Scenario {
  return random.weighted(scenarios.map((scenario) => [scenario, scenario.weight] as const));
}
