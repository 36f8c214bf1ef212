import { createRandom, type Random, seedOf } from '../random.ts';
import type { Product, ShopIdentity } from './model.ts';

/** One article of a shop. `skus` are the seller's SKUs that temu_products has for its skuId: one, none or two (T10). */
export interface CatalogueItem {
  skuId: string;
  goodsId: string;
  productSkuId: string;
  productId: string;
  goodsName: string;
  spec: string;
  thumbUrl: string;
  extCode: string;
  /** Usual price in hundredths of a euro; a generator scales it to the order's currency. */
  price: number;
  skus: readonly string[];
  bigIds: boolean;
}

const THINGS = [
  'Packaging Tape 72pcs',
  'LED-Lampe „Sonnenschein“',
  'Cană ceramică cu țărănci',
  'Σετ κατσαρόλες 5 τεμ.',
  'Кутия за инструменти',
  '折りたたみ傘 【軽量】',
  '접이식 우산',
  'חולצת כותנה',
  'قميص قطني',
  'USB-C cable 2m "fast" \\ braided',
  'Socks 🧦 5 pairs 👨‍👩‍👧',
  'Party hat 🎉🦄',
] as const;
const SPECS = ['red', 'blau', 'XL', '40×60 cm', 'negru', 'μαύρο', '5 / pack', ''] as const;

const SIZE = 240;

/** The shop's articles, always the same for the same shop name: orders of any seed share them. */
export function catalogueOf(shop: Pick<ShopIdentity, 'name'>): CatalogueItem[] {
  const random = createRandom(seedOf('catalogue', shop.name));
  const seen = new Set<string>();
  return Array.from({ length: SIZE }, (_, index) => item(random, shop.name, index, seen));
}

function item(random: Random, shopName: string, index: number, seen: Set<string>): CatalogueItem {
  // Most ids have 12 to 15 digits; Temu's documentation also shows 18-digit ones, which no double can hold.
  const bigIds = index % 20 === 7;
  const goodsId = bigIds ? `9${random.digits(17, true)}` : `60${random.digits(13, true)}`;
  const base = `${shopName
    .slice(0, 3)
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, 'X')}-${String(index).padStart(4, '0')}`;
  const mapping = index % 12 === 5 ? 0 : index % 15 === 4 ? 2 : 1;
  return {
    skuId: uniqueId(random, seen, bigIds),
    goodsId,
    productSkuId: random.digits(12),
    productId: random.digits(11),
    goodsName: `${THINGS[index % THINGS.length]} ${index}`,
    spec: random.pick(SPECS),
    thumbUrl: `https://img.example/${goodsId}_800x800.jpeg`,
    extCode: random.chance(0.5) ? base : '',
    price: random.int(99, 8_999),
    skus: mapping === 0 ? [] : mapping === 1 ? [base] : [base, `${base}-B`],
    bigIds,
  };
}

function uniqueId(random: Random, seen: Set<string>, big: boolean): string {
  for (;;) {
    const id = big ? `9${random.digits(17, true)}` : random.digits(14);
    if (!seen.has(id)) {
      seen.add(id);
      return id;
    }
  }
}

/** The rows of temu_products that go with the catalogue. */
export function productsOf(shop: Pick<ShopIdentity, 'name'>): Product[] {
  return catalogueOf(shop).flatMap(({ skuId, skus }) => skus.map((sku) => ({ temu_sku_id: skuId, sku })));
}

/** The articles sorted by what is special about them. */
export interface Catalogue {
  all: readonly CatalogueItem[];
  mapped: readonly CatalogueItem[];
  unmapped: readonly CatalogueItem[];
  doubled: readonly CatalogueItem[];
  big: readonly CatalogueItem[];
}

export function splitCatalogue(all: readonly CatalogueItem[]): Catalogue {
  return {
    all,
    mapped: all.filter(({ skus }) => skus.length === 1),
    unmapped: all.filter(({ skus }) => skus.length === 0),
    doubled: all.filter(({ skus }) => skus.length > 1),
    big: all.filter(({ bigIds }) => bigIds),
  };
}
