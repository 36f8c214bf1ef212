import { getTableColumns, getTableName, type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import { arrayOf, list, name } from '../db/query.ts';
import type { LeasedTable, Work } from './define.ts';

/** Literals, not parameters: a prepared statement would not match the partial index of open rows. */
export const isOpen = <T extends LeasedTable>({ table, open }: Pick<Work<T>, 'table' | 'open'>): SQL =>
  sql`${table.state} in (${sql.raw(open.map((state) => `'${state}'`).join(', '))})`;

/** The row of the table that another relation of the statement refers to. */
export const sameRow = <T extends LeasedTable>({ key }: Pick<Work<T>, 'key'>, relation: string): SQL =>
  sql.join(
    key.map((column) => sql`${column} = ${sql.identifier(relation)}.${name(column)}`),
    sql` and `,
  );

/** The key's columns, by the names they have in its rows. */
export const keyFields = <T extends LeasedTable>({
  table,
  key,
}: Pick<Work<T>, 'table' | 'key'>): [string, PgColumn][] =>
  (Object.entries(getTableColumns(table)) as [string, PgColumn][]).filter(([, column]) =>
    key.includes(column),
  );

/** The given keys, as a relation. */
export function keysOf<T extends LeasedTable>(
  { table, key }: Pick<Work<T>, 'table' | 'key'>,
  more: readonly [SQL, SQL][] = [],
): SQL {
  const keys = keyFields({ table, key }).map(([field, column]): [SQL, SQL] => [
    arrayOf(column, sql.placeholder(`each ${field}`)),
    name(column),
  ]);
  const all = [...keys, ...more];
  return sql`unnest(${list(all.map(([array]) => array))}) as given(${list(all.map(([, as]) => as))})`;
}

/**
 * The rows with the given keys, locked in the order of the keys. Each is found by its key whatever the planner thinks of
 * how many are open: an index of those that are open is as good to it while its statistics know of none.
 */
export const rowsByKey = <T extends LeasedTable>(work: Pick<Work<T>, 'table' | 'key'>, given: SQL): SQL =>
  sql`${given} cross join lateral (
    select * from ${work.table} where ${sameRow(work, 'given')} limit 1 for update) as ${sql.identifier(getTableName(work.table))}`;
