import { createRandom, type Random, seedOf } from '../random.ts';
import { type Catalogue, catalogueOf, splitCatalogue } from './catalogue.ts';
import { COUNTRIES, type Country, UNKNOWN_COUNTRIES } from './countries.ts';
import { decimalsOf, type SandboxOrder, type ShopIdentity } from './model.ts';
import { makeAmounts, makeLines } from './order-lines.ts';
import { cancelAll, pickScenario, SCENARIOS, type Scenario } from './scenarios.ts';
import { SCRIPTS } from './scripts.ts';

export { renderAmount, renderListItem, renderShipping } from './render.ts';

export interface GenerateOptions {
  seed: number;
  count: number;
  shop: ShopIdentity;
  /** Epoch milliseconds; no order is newer. */
  now: number;
  /** Orders are spread over this many days before now. */
  days: number;
  /** Scenarios to draw from; default: each once, then by weight (scenarios.ts). */
  scenarios?: readonly Scenario[];
}

const DAY = 86_400;

/**
 * Orders of one shop, pure and seeded: the same options give the same orders. The first ones run through every
 * scenario once, so that a small number covers the spec, too; the others follow the scenarios' weights.
 */
export function generateOrders(options: GenerateOptions): SandboxOrder[] {
  const random = createRandom(seedOf('orders', options.seed, options.shop.name));
  const catalogue = splitCatalogue(catalogueOf(options.shop));
  const scenarios = options.scenarios ?? SCENARIOS;
  const taken = new Set<string>();
  return Array.from({ length: options.count }, (_, index) => {
    const scenario = scenarios[index] ?? pickScenario(random, scenarios);
    return generateOrder(
      { random, catalogue, shop: options.shop, now: options.now, days: options.days, taken },
      scenario,
    );
  });
}

export interface OrderContext {
  random: Random;
  catalogue: Catalogue;
  shop: ShopIdentity;
  now: number;
  days: number;
  /** Order numbers already given; the new one is added. */
  taken: { has(sn: string): boolean; add(sn: string): unknown };
}

/** One order of a scenario. */
export function generateOrder(context: OrderContext, scenario: Scenario): SandboxOrder {
  const { random, shop } = context;
  const country = chooseCountry(random, shop);
  const status = scenario.status ?? random.weighted(STATUS_WEIGHTS);
  const times = chooseTimes(context, status, scenario);
  const prefix = String(country.regionId).padStart(3, '0');
  // Parent and rows of one buyer end in the same digits, as in the recorded responses.
  const tail = random.digits(4, true);
  const lines = makeLines({
    random,
    catalogue: context.catalogue,
    scenario,
    currency: country.currency,
    status,
    newSn: () => `${prefix}-${random.digits(13, true)}${tail}`,
  });
  const order: SandboxOrder = {
    parentOrderSn: newSn(context, prefix, tail),
    shopName: shop.name,
    shopCountry: shop.country,
    status,
    ...times,
    regionId: country.regionId,
    siteId: country.siteId,
    currency: country.currency,
    lines,
    amounts: makeAmounts(random, lines, decimalsOf(country.currency)),
    address: makeAddress(random, country),
    labels: random.chance(0.05) ? ['soon_to_be_overdue'] : [],
    warnings: random.chance(0.03) ? ['SUGGEST_SIGNATURE_ON_DELIVERY'] : [],
    amountFailure: null,
    shippingFailure: null,
    confirmFailure: null,
    packagesLocked: false,
    withoutAddress: random.pick(['error', 'null', 'empty'] as const),
    kinds: [scenario.name],
    verbatim: null,
  };
  scenario.finish?.(order, random);
  // A real cancelled order shows its units as cancelled; one that was never paid may not.
  if (status === 3 && !scenario.finish && random.chance(0.8)) cancelAll(order);
  if (lines.some(({ goodsId }) => goodsId.length > 16)) order.kinds.push('bigIds');
  if (decimalsOf(order.currency) === 0) order.kinds.push('noMinorUnit');
  order.kinds.push(`status${order.status}`, `script:${country.script}`);
  return order;
}

const STATUS_WEIGHTS = [
  [1, 8],
  [2, 46],
  [3, 6],
  [4, 17],
  [5, 15],
  [41, 5],
  [51, 3],
] as const;

function newSn({ random, taken }: OrderContext, prefix: string, tail: string): string {
  for (;;) {
    const sn = `PO-${prefix}-${random.digits(13, true)}${tail}`;
    if (!taken.has(sn)) {
      taken.add(sn);
      return sn;
    }
  }
}

function chooseCountry(random: Random, shop: ShopIdentity): Country {
  const countries = COUNTRIES[shop.region];
  // The account's own country comes most often: a Japanese shop sells in yen.
  const own = countries.often.find(({ code }) => code === shop.country);
  if (own && random.chance(0.4)) return own;
  if (random.chance(0.03))
    return { ...random.pick(countries.often), name: random.pick(UNKNOWN_COUNTRIES), code: null };
  return random.pick(random.chance(0.12) ? countries.seldom : countries.often);
}

type Times = Pick<
  SandboxOrder,
  'createdAt' | 'updatedAt' | 'pendingUntil' | 'confirmedAt' | 'shipBy' | 'latestDelivery' | 'shippedAt'
>;

function chooseTimes({ random, now, days }: OrderContext, status: number, scenario: Scenario): Times {
  const last = Math.floor(now / 1000);
  const span = Math.max(2, Math.floor(days * DAY));
  let updatedAt = last - random.int(1, span);
  // A hold lasts 30 minutes after updateTime (T12): "recent" is well inside, "old" well outside of it.
  if (scenario.updated === 'recent') updatedAt = last - random.int(30, 20 * 60);
  if (scenario.updated === 'old') updatedAt = last - random.int(45 * 60, Math.max(3 * 3600, span));
  const age =
    status === 1 ? random.int(0, 600) : status === 2 ? random.int(601, 2 * DAY) : random.int(3600, 9 * DAY);
  const createdAt = updatedAt - age;
  const pendingUntil = createdAt + random.int(601, 960);
  const shipped = [4, 5, 41, 51].includes(status);
  return {
    createdAt,
    updatedAt,
    pendingUntil,
    confirmedAt: status === 1 ? null : pendingUntil,
    shipBy: status === 1 || (status === 3 && random.chance(0.5)) ? null : createdAt + random.int(1, 3) * DAY,
    latestDelivery: createdAt + 7 * DAY,
    shippedAt: shipped ? updatedAt - (status === 4 || status === 41 ? 1 : Math.min(age, DAY)) : null,
  };
}

function makeAddress(random: Random, country: Country): SandboxOrder['address'] {
  const script = SCRIPTS[country.script];
  const [state, city, postCode] = random.pick(country.cities);
  return {
    name: `${random.pick<string>(script.first)} ${random.pick<string>(script.last)}`,
    mobile: random.chance(0.97) ? `${country.phone}${random.digits(8, true)}` : null,
    mail: `${random.digits(12)}${random.int(10, 99)}@eu.shipping.temuemail.com`,
    countryName: country.name,
    countryCode: country.code,
    state,
    city,
    street1: random.pick<string>(script.streets),
    street2: random.chance(0.2) ? `ap. ${random.int(1, 99)}` : null,
    postCode: random.chance(0.98) ? postCode : null,
  };
}
