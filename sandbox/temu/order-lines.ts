import type { Random } from '../random.ts';
import type { Catalogue, CatalogueItem } from './catalogue.ts';
import { decimalsOf, type OrderAmounts, type OrderLine } from './model.ts';
import type { Scenario } from './scenarios.ts';

export interface Basket {
  random: Random;
  catalogue: Catalogue;
  scenario: Scenario;
  currency: string;
  /** The parent order's status. */
  status: number;
  newSn: () => string;
}

/** Order lines: units of one to four articles with prices and cancellations, packed into Temu's rows. */
export function makeLines({ random, catalogue, scenario, currency, status, newSn }: Basket): OrderLine[] {
  const pool = scenario.pool
    ? catalogue[scenario.pool]
    : random.chance(0.93)
      ? catalogue.mapped
      : catalogue.all;
  const wanted = scenario.articles ?? random.weighted(ARTICLE_WEIGHTS);
  const articles = new Map([random.pick(pool)].map((item) => [item.skuId, item]));
  while (articles.size < wanted) {
    const item = random.pick(random.chance(0.95) ? catalogue.mapped : catalogue.all);
    articles.set(item.skuId, item);
  }
  const lines: OrderLine[] = [];
  for (const item of articles.values()) {
    const first = lines.length === 0;
    const price = localPrice(item.price, currency);
    const prices = Array.from({ length: first ? (scenario.prices ?? 1) : 1 }, (_, step) =>
      Math.max(1, price - step * Math.ceil(price / 4)),
    );
    for (const [step, unitPrice] of [...new Set(prices)].entries()) {
      const units = step === 0 && first && scenario.units ? scenario.units : random.weighted(UNIT_WEIGHTS);
      const single = first && (scenario.singleRows ?? random.chance(0.1));
      for (const ordered of single ? Array.from({ length: units }, () => 1) : [units]) {
        lines.push(line(item, newSn(), lineStatus(status, lines.length, random), ordered, unitPrice));
      }
    }
  }
  return scenario.singleRows ? random.shuffle(lines) : lines;
}

const ARTICLE_WEIGHTS = [
  [1, 70],
  [2, 20],
  [3, 7],
  [4, 3],
] as const;
const UNIT_WEIGHTS = [
  [1, 80],
  [2, 14],
  [3, 5],
  [12, 1],
] as const;

function line(
  item: CatalogueItem,
  orderSn: string,
  status: number,
  ordered: number,
  unitPrice: number,
): OrderLine {
  const { skuId, goodsId, productSkuId, productId, goodsName, spec, thumbUrl, extCode } = item;
  return {
    orderSn,
    status,
    skuId,
    goodsId,
    productSkuId,
    productId,
    goodsName,
    spec,
    thumbUrl,
    extCode,
    ordered,
    cancelled: 0,
    unitPrice,
  };
}

/** Rows share their parent's status, but of a partially shipped order the first row alone has left. */
function lineStatus(parent: number, index: number, random: Random): number {
  if (parent === 41) return index === 0 ? 4 : 2;
  if (parent === 51) return index === 0 ? 5 : random.pick([2, 4]);
  return parent;
}

/** Units per euro, roughly: only so that amounts look right. */
const RATES: Record<string, number> = {
  RON: 5,
  PLN: 4.3,
  CZK: 25,
  HUF: 400,
  SEK: 11,
  TRY: 40,
  JPY: 160,
  KRW: 1_500,
  MXN: 20,
  BRL: 6,
};

function localPrice(hundredths: number, currency: string): number {
  const minor = hundredths * (RATES[currency] ?? 1);
  return Math.max(1, Math.round(decimalsOf(currency) === 0 ? minor / 100 : minor));
}

/** Order totals in minor units that fit the rows. */
export function makeAmounts(random: Random, lines: readonly OrderLine[], decimals: 0 | 2): OrderAmounts {
  const base = lines.reduce((sum, { unitPrice, ordered }) => sum + (unitPrice ?? 0) * ordered, 0);
  const shipping = random.chance(0.4) ? 0 : decimals === 2 ? 279 : 500;
  const tax = Math.round(base * 0.19);
  const deduction = random.chance(0.1) ? Math.round(base * 0.05) : 0;
  const fromTemu = random.chance(0.3) ? Math.round(base * 0.1) : 0;
  const fromSeller = random.chance(0.2) ? Math.round(base * 0.07) : 0;
  return {
    taxTotal: tax,
    taxTotalAfterDiscount: Math.max(0, tax - Math.round(fromTemu * 0.19)),
    basePriceTotal: base,
    shippingAmountTotal: shipping,
    estimatedRevenue: base + shipping - deduction,
    estimatedRevenueDeduction: deduction,
    discountFromTEMU: fromTemu,
    discountFromSeller: fromSeller,
    // Nearly always null in recorded responses: nothing was refunded yet.
    refundsTotal: random.chance(0.9) ? null : 0,
  };
}
