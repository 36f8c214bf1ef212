import { is, Param, Placeholder, SQL, sql } from 'drizzle-orm';
import { makePgArray, type PgColumn, PgDialect, type PgTable } from 'drizzle-orm/pg-core';
import type { SelectResultFields } from 'drizzle-orm/query-builders/select.types';
import { withoutParameters } from '../lib/errors.ts';
import type { Db, Tx } from './client.ts';

/**
 * Statements that Drizzle's query builder cannot express: over the schema's columns, which name, type and decode the
 * rows.
 */

/** Columns of a row, by the names they get. */
export type Fields = Record<string, PgColumn | SQL>;
export type RowOf<F extends Fields> = SelectResultFields<F>;

const dialect = new PgDialect();

/** A statement that returns rows, built once. */
export interface Statement<F extends Fields> {
  /**
   * Prepared on the server, once per connection.
   * @param values of its placeholders
   * @throws the driver's error
   */
  run(db: Db | Tx, values?: Record<string, unknown>): Promise<RowOf<F>[]>;
}

/**
 * For hot statements: Drizzle takes up to 0.2 ms of CPU to build a long one, more than Postgres takes to run it.
 * @param build is given the list of the fields, to follow `select` or `returning`; what varies is `sql.placeholder`
 */
export function statement<F extends Fields>(fields: F, build: (list: SQL) => SQL): Statement<F> {
  const ordered = Object.entries(fields).map(([name, field]) => ({ path: [name], field }));
  let query: ReturnType<PgDialect['sqlToQuery']> | undefined;
  return {
    async run(db, values = {}) {
      query ??= flat(dialect.sqlToQuery(build(asList(fields))));
      const params = query.params.map((param) => filled(param, values));
      type Prepared = { execute: RowOf<F>[]; all: unknown; values: unknown };
      try {
        return await db._.session
          .prepareQuery<Prepared>({ ...query, params }, ordered, 'prepared', true)
          .execute();
      } catch (error) {
        throw withoutParameters(error);
      }
    },
  };
}

/**
 * A parameter for the driver. Drizzle's `fillPlaceholders` passes nulls to the column's encoder as well, which
 * throws.
 */
function filled(param: unknown, values: Record<string, unknown>): unknown {
  const column = is(param, Param) ? param.encoder : undefined;
  const placeholder = is(param, Param) ? param.value : param;
  if (!is(placeholder, Placeholder)) return encoded(param);
  if (!(placeholder.name in values)) throw new Error(`No value for the placeholder "${placeholder.name}"`);
  const value = values[placeholder.name];
  return column && value !== null ? column.mapToDriverValue(value) : encoded(value);
}

/**
 * A string that was concatenated from a hundred pieces is flattened anew whenever the driver looks it up among the
 * prepared ones.
 */
const flat = <Q extends { sql: string }>(query: Q): Q => ({
  ...query,
  sql: Buffer.from(query.sql).toString(),
});

/** Times and arrays in Postgres' text format: drivers would have to know all their types. */
function encoded(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  return Array.isArray(value) ? makePgArray(value.map(encoded)) : value;
}

/**
 * A parameter that is an array of a column's values, with its type: for `any(…)` and `unnest(…)`.
 * @param values or a placeholder for them. Then the planner is not told how many there are, whereupon it would plan a
 * prepared statement anew each time: for an order's few rows that costs more than the statement itself (P6).
 */
export function arrayOf(column: PgColumn, values: readonly unknown[] | Placeholder): SQL {
  const type = sql.raw(`${column.getSQLType()}[]`);
  if (is(values, Placeholder)) return sql`(select ${values}::${type})::${type}`;
  const array = (values as unknown[]).map((one) => (one === null ? null : column.mapToDriverValue(one)));
  return sql`${encoded(array)}::${type}`;
}

/**
 * Like Drizzle's `inArray`, with one parameter however many values there are, so that it is one statement to the
 * server.
 */
export const isAnyOf = (column: PgColumn, values: readonly unknown[] | Placeholder): SQL =>
  sql`${column} = any(${arrayOf(column, values)})`;

/** What an `insert` would have written, for `on conflict`. */
export const excluded = (column: PgColumn): SQL => sql`excluded.${name(column)}`;

/** The same as an assignment. */
export const asExcluded = (column: PgColumn): SQL => sql`${name(column)} = ${excluded(column)}`;

/** JSON that a statement builds, or a column whose table does not type its content. */
export const json = <T>(value: PgColumn | SQL): SQL<T> =>
  sql`${value}`.mapWith((found: unknown) => (typeof found === 'string' ? JSON.parse(found) : found));

/** Fields of an outer join: null where there was nothing to join. */
export const outer = <F extends Fields>(fields: F) =>
  fields as unknown as { [Name in keyof F]: SQL<RowOf<F>[Name] | null> };

export const list = (parts: readonly (SQL | PgColumn)[]): SQL => sql.join([...parts], sql`, `);

const asList = (fields: Fields): SQL =>
  list(Object.entries(fields).map(([as, field]) => sql`${field} as ${sql.identifier(as)}`));

/** Runs a statement that returns rows. @see statement */
export const rows = <F extends Fields>(
  db: Db | Tx,
  fields: F,
  build: (list: SQL) => SQL,
): Promise<RowOf<F>[]> => statement(fields, build).run(db);

/**
 * A column's bare name, where Postgres allows no qualified one: in `set`, in lists of `insert`, after another
 * relation.
 */
export const name = (column: PgColumn): SQL => sql`${sql.identifier(column.name)}`;

/** Columns' bare names, for lists of `insert` and `returning`. */
export const names = (columns: readonly PgColumn[]): SQL => list(columns.map(name));

/** What follows `set`: values by the table's column names, as Drizzle's `update` takes them. */
export const assignments = <T extends PgTable>(table: T, values: Values<T>): SQL =>
  sql.join(
    written(table, values).map(([column, value]) => sql`${name(column)} = ${value}`),
    sql`, `,
  );

/** `insert into` and `select`, to be followed by `from`: values by the table's column names. */
export function insertion<T extends PgTable>(table: T, values: Values<T>): SQL {
  const list = written(table, values);
  const selected = list.map(([column, value]) =>
    is(value, SQL) ? value : sql`${value}::${sql.raw(column.getSQLType())}`,
  );
  return sql`insert into ${table} (${names(list.map(([column]) => column))}) select ${sql.join(selected, sql`, `)}`;
}

function written<T extends PgTable>(table: T, values: Values<T>): [PgColumn, SQL | Param][] {
  const columns = table as unknown as Record<string, PgColumn>;
  return Object.entries(values).flatMap(([key, value]): [PgColumn, SQL | Param][] => {
    const column = columns[key];
    if (!column || value === undefined) return [];
    return [[column, is(value, SQL) ? value : sql.param(value, column)]];
  });
}

export type Values<T extends PgTable> = {
  [Key in keyof T['$inferInsert']]?: T['$inferInsert'][Key] | SQL | Placeholder | undefined;
};

/** The number of a group's rows that match. */
export const countWhere = (condition: SQL): SQL<number> =>
  sql<number>`count(*) filter (where ${condition})::int`;
