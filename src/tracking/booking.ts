import { type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';

/** The table, or an alias of it. */
type Parcels = Record<'bookedAt' | 'createdAt' | 'id', PgColumn>;

const place = ({ bookedAt, createdAt, id }: Parcels) => sql`(${bookedAt}, ${createdAt}, ${id})`;

/** C2: the order in which an order's parcels were booked. */
export const bookedAfter = (one: Parcels, other: Parcels): SQL<boolean> =>
  sql<boolean>`${place(one)} > ${place(other)}`;
