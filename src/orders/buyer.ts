import { eq } from 'drizzle-orm';
import type { Db } from '../db/client.ts';
import { isAnyOf } from '../db/query.ts';
import { orders, temuStores } from '../db/schema/index.ts';

/** T18: who receives an order. For the order's own page only, and only for users with write access. */
export type Buyer = Awaited<ReturnType<typeof buyersOf>>[number];

/** Buyers of the orders with these marketplace numbers; two stores may share one. */
export async function buyersOf(db: Db, numbers: readonly string[]) {
  const found = await db
    .select({
      number: orders.marketplaceOrderId,
      /** null: an order of another source. */
      store: temuStores.name,
      name: orders.shippingBuyerName,
      phone: orders.shippingPhone,
      mail: orders.buyerMail,
      /** When the buyer was erased. */
      erasedAt: orders.personalDataErasedAt,
      street: orders.shippingStreet1,
      postalCode: orders.shippingPostalCode,
      city: orders.shippingCity,
      state: orders.shippingStateProvince,
      country: orders.shippingCountryName,
      countryCode: orders.shippingCountryCode,
    })
    .from(orders)
    .leftJoin(temuStores, eq(temuStores.id, orders.storeId))
    .where(isAnyOf(orders.marketplaceOrderId, numbers));
  return found.map(({ street, postalCode, city, state, country, countryCode, ...buyer }) => ({
    ...buyer,
    /** From street to country, one line each. */
    address: [street, linked(postalCode, city), state, country ?? countryCode].filter(
      (line) => line !== null,
    ),
  }));
}

const linked = (...words: (string | null)[]) => words.filter((word) => word !== null).join(' ') || null;
