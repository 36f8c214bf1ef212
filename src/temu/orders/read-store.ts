import { getTableColumns, sql } from 'drizzle-orm';
import { isAnyOf, json, statement } from '../../db/query.ts';
import { temuApiPauses, temuStores } from '../../db/schema/index.ts';
import { together } from '../../lib/together.ts';
import type { Store, TemuApi } from '../client.ts';
import type { OrdersDeps } from '../deps.ts';
import { openStore } from '../stores.ts';

/** A store, with the APIs that are paused for it (T16). */
export interface FoundStore {
  store: Store;
  withheld: ReadonlySet<TemuApi>;
}

const ACTIVE = statement(
  {
    ...getTableColumns(temuStores),
    withheld: json<
      TemuApi[]
    >(sql`(select coalesce(jsonb_agg(${temuApiPauses.api}), '[]') from ${temuApiPauses}
      where ${temuApiPauses.storeId} = ${temuStores.id})`),
  },
  (read) =>
    sql`select ${read} from ${temuStores} where ${temuStores.active} and ${isAnyOf(temuStores.id, sql.placeholder('ids'))}`,
);

/**
 * Reads the store of an order; once for orders that come together (P7).
 * @returns a function that resolves with undefined while the store is paused or gone
 */
export const createStoreReader = ({ db, secrets }: OrdersDeps) =>
  together<string, FoundStore | undefined>(async (group) => {
    const rows = await ACTIVE.run(db, { ids: [...new Set(group)] });
    const found = new Map(
      rows.map(({ withheld, ...row }) => [
        row.id,
        { store: openStore(row, secrets), withheld: new Set(withheld) },
      ]),
    );
    return group.map((id) => found.get(id));
  });
