import { getTableColumns, getTableName, type SQL, sql } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import { arrayOf, list, name } from '../db/query.ts';
import type { LeasedTable, Work } from './define.ts';

/** Literals, not parameters: a prepared statement would not match the partial index of open rows. */
export const isOpen = <T extends LeasedTable>({ table, open }: Pick<Work<T>, 'table' | 'open'>): SQL =>
  sql`${table.state} in (${sql.raw(open.map((state) => `'${state}'`).join(', '))})`;

/** The row of the table that another relation of the statement refers to. */
export const sameRow = <T extends LeasedTable>({ key }: Pick<Work<T>, 'key'>, relation: string): SQL =>
  same(key, relation);

const same = (columns: readonly PgColumn[], relation: string): SQL =>
  sql.join(
    columns.map((column) => sql`${column} = ${sql.identifier(relation)}.${name(column)}`),
    sql` and `,
  );

/** Columns of a table with the names that they have in its rows. */
export const fieldsOf = (table: PgTable, columns: readonly PgColumn[]): [string, PgColumn][] =>
  (Object.entries(getTableColumns(table)) as [string, PgColumn][]).filter(([, column]) =>
    columns.includes(column),
  );

/** Values of these columns, given as arrays by the placeholders `each …`, as a relation. */
export function givenRows<T extends LeasedTable>(
  { table }: Pick<Work<T>, 'table'>,
  columns: readonly PgColumn[],
  more: readonly [SQL, SQL][] = [],
): SQL {
  const given = fieldsOf(table, columns).map(([field, column]): [SQL, SQL] => [
    arrayOf(column, sql.placeholder(`each ${field}`)),
    name(column),
  ]);
  const all = [...given, ...more];
  return sql`unnest(${list(all.map(([array]) => array))}) as given(${list(all.map(([, as]) => as))})`;
}

/** Of each row, for these placeholders. */
export const valuesOfEach = (fields: readonly string[], rows: readonly unknown[]) =>
  Object.fromEntries(
    fields.map((field) => [`each ${field}`, rows.map((row) => (row as Record<string, unknown>)[field])]),
  );

/**
 * The rows with the given values of these columns, locked in the order of those and of their keys. The offset keeps
 * conditions on them out of the inner query: each is found by these columns whatever the planner thinks of how many are
 * open, since an index of those that are open is as good to it while its statistics know of none.
 */
export const rowsBy = <T extends LeasedTable>(
  { table, key }: Pick<Work<T>, 'table' | 'key'>,
  columns: readonly PgColumn[],
  given: SQL,
): SQL =>
  sql`${given} cross join lateral (
    select * from ${table} where ${same(columns, 'given')} order by ${list(key)} offset 0 for update) as ${sql.identifier(getTableName(table))}`;
