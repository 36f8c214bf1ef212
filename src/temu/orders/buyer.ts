import type { Db } from '../../db/client.ts';

/** T18: who gets an order. For the order's own page alone, and there for users who may write. */
export interface Buyer {
  number: string;
  /** null: an order of another source. */
  store: string | null;
  name: string | null;
  phone: string | null;
  mail: string | null;
  /** From street to country, one line each. */
  address: string[];
  /** The buyer was forgotten then. */
  erasedAt: Date | null;
}

/** Buyers of the orders with these marketplace numbers; two stores may share one. */
export async function buyersOf({ $client: sql }: Db, numbers: readonly string[]): Promise<Buyer[]> {
  return await sql<Buyer[]>`
    select o.marketplace_order_id as number, s.name as store, o.shipping_buyer_name as name, o.shipping_phone as phone,
      o.buyer_mail as mail, o.personal_data_erased_at as "erasedAt",
      array_remove(array[o.shipping_street1, nullif(concat_ws(' ', o.shipping_postal_code, o.shipping_city), ''),
        o.shipping_state_province, coalesce(o.shipping_country_name, o.shipping_country_code)], null) as address
    from orders o left join temu_stores s on s.id = o.store_id
    where o.marketplace_order_id = any(${numbers as string[]}::text[])`;
}
