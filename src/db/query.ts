import { is, SQL, sql } from 'drizzle-orm';
import { type PgColumn, PgDialect, type PgTable } from 'drizzle-orm/pg-core';
import type { SelectResultFields } from 'drizzle-orm/query-builders/select.types';
import type { Db, Tx } from './client.ts';

/** Statements that Drizzle's query builder cannot say: over the schema's columns, which name, type and decode the rows. */

/** Columns of a row by the names they are to have. */
export type Fields = Record<string, PgColumn | SQL>;
export type RowOf<F extends Fields> = SelectResultFields<F>;

const dialect = new PgDialect();

/**
 * Runs a statement that returns rows; it is prepared on the server, once for each connection.
 * @param statement is given the list of the fields, to stand behind `select` or `returning`
 * @throws the driver's error
 */
export async function rows<F extends Fields>(
  db: Db | Tx,
  fields: F,
  statement: (list: SQL) => SQL,
): Promise<RowOf<F>[]> {
  const ordered = Object.entries(fields).map(([name, field]) => ({ path: [name], field }));
  const list = sql.join(
    Object.entries(fields).map(([as, field]) => sql`${field} as ${sql.identifier(as)}`),
    sql`, `,
  );
  const { session } = db._;
  type Prepared = { execute: RowOf<F>[]; all: unknown; values: unknown };
  return await session
    .prepareQuery<Prepared>(dialect.sqlToQuery(statement(list)), ordered, 'prepared', true)
    .execute();
}

/** A column's bare name, where Postgres takes no qualified one: in `set`, in lists of `insert`, behind another relation. */
export const name = (column: PgColumn): SQL => sql`${sql.identifier(column.name)}`;

/** Columns' bare names, as lists of `insert` and `returning` have them. */
export const names = (columns: readonly PgColumn[]): SQL => sql.join(columns.map(name), sql`, `);

/** What follows `set`: values by the names of the table's columns, as Drizzle's `update` takes them. */
export function assignments<T extends PgTable>(table: T, values: Values<T>): SQL {
  const columns = table as unknown as Record<string, PgColumn>;
  const list = Object.entries(values).flatMap(([key, value]) => {
    const column = columns[key];
    if (!column || value === undefined) return [];
    return [sql`${name(column)} = ${is(value, SQL) ? value : sql.param(value, column)}`];
  });
  return sql.join(list, sql`, `);
}

export type Values<T extends PgTable> = {
  [Key in keyof T['$inferInsert']]?: T['$inferInsert'][Key] | SQL | undefined;
};
