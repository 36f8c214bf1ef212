import { is, SQL, sql } from 'drizzle-orm';
import { type PgColumn, PgDialect, type PgTable } from 'drizzle-orm/pg-core';
import type { SelectResultFields } from 'drizzle-orm/query-builders/select.types';
import type { Db, Tx } from './client.ts';

/** Statements that Drizzle's query builder cannot say: over the schema's columns, which name, type and decode the rows. */

/** Columns of a row by the names they are to have. */
export type Fields = Record<string, PgColumn | SQL>;
export type RowOf<F extends Fields> = SelectResultFields<F>;

const dialect = new PgDialect();

/** A statement that returns rows, built once. */
export interface Statement<F extends Fields> {
  /**
   * Prepared on the server, once for each connection.
   * @param values of its placeholders
   * @throws the driver's error
   */
  run(db: Db | Tx, values?: Record<string, unknown>): Promise<RowOf<F>[]>;
}

/**
 * For hot statements: Drizzle takes up to 0.2 ms of processor time to build a long one, more than Postgres does for it.
 * @param build is given the list of the fields, to stand behind `select` or `returning`; what varies is `sql.placeholder`
 */
export function statement<F extends Fields>(fields: F, build: (list: SQL) => SQL): Statement<F> {
  const ordered = Object.entries(fields).map(([name, field]) => ({ path: [name], field }));
  let query: ReturnType<PgDialect['sqlToQuery']> | undefined;
  return {
    async run(db, values = {}) {
      query ??= dialect.sqlToQuery(build(asList(fields)));
      type Prepared = { execute: RowOf<F>[]; all: unknown; values: unknown };
      return await db._.session.prepareQuery<Prepared>(query, ordered, 'prepared', true).execute(values);
    },
  };
}

const asList = (fields: Fields): SQL =>
  sql.join(
    Object.entries(fields).map(([as, field]) => sql`${field} as ${sql.identifier(as)}`),
    sql`, `,
  );

/** Runs a statement that returns rows. @see statement */
export const rows = <F extends Fields>(
  db: Db | Tx,
  fields: F,
  build: (list: SQL) => SQL,
): Promise<RowOf<F>[]> => statement(fields, build).run(db);

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
