import { type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';

type Columns = Record<string, PgColumn>;

/**
 * A row as given: null even for columns that are not null, or left out, which is cheaper; a time may be its text, which is
 * a third cheaper.
 */
type Given<C extends Columns> = { [Key in keyof C]?: Value<C[Key]['_']['data']> | null | undefined };
type Value<T> = T extends Date ? T | string : T;

/** Rows that are passed to a statement, by the name they have in it. */
export interface Recordset<C extends Columns> {
  /** The relation, to follow `from`. @param rows their text (`textOf`), or a placeholder for it */
  from(rows: unknown): SQL;
  /** The value of their parameter. */
  textOf(rows: readonly Given<C>[]): string;
  /** Their fields, of the columns' types. */
  fields: { [Key in keyof C]: SQL<C[Key]['_']['data'] | null> };
}

/**
 * However many rows there are, they are one parameter, so that the statement is always the same to the server. A row is a
 * JSON array: half as long as an object, and Postgres reads it in half the time.
 */
export function recordset<C extends Columns>(as: string, columns: C): Recordset<C> {
  const entries = Object.entries(columns);
  const selected = sql.join(
    entries.map(([field, column], no) => sql`${valueAt(no, column)} as ${sql.identifier(field)}`),
    sql`, `,
  );
  const fields = entries.map(([field, column]) => [
    field,
    sql`${sql.identifier(as)}.${sql.identifier(field)}`.mapWith(column),
  ]);
  return {
    // the offset keeps Postgres from reading a value anew wherever it is mentioned
    from: (rows) =>
      sql`(select ${selected} from jsonb_array_elements(${rows}::jsonb) as given(row) offset 0) as ${sql.identifier(as)}`,
    textOf: (rows) => JSON.stringify(rows.map((row) => entries.map(([field]) => row[field]))),
    fields: Object.fromEntries(fields),
  };
}

/** JSON has one null, Postgres two. */
const valueAt = (no: number, column: PgColumn): SQL =>
  column.getSQLType() === 'jsonb'
    ? sql.raw(`nullif(given.row -> ${no}, 'null')`)
    : sql.raw(`(given.row ->> ${no})::${column.getSQLType()}`);
