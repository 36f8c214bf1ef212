import { type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';

type Columns = Record<string, PgColumn>;

/** A row as given: null even for columns that are not null; a time may be its text, which is a third cheaper. */
type Given<C extends Columns> = { [Key in keyof C]: Value<C[Key]['_']['data']> | null };
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

/** However many rows there are, they are one parameter, so that the statement is always the same to the server. */
export function recordset<C extends Columns>(as: string, columns: C): Recordset<C> {
  const entries = Object.entries(columns);
  const list = sql.join(
    entries.map(([field, column]) => sql`${sql.identifier(field)} ${sql.raw(column.getSQLType())}`),
    sql`, `,
  );
  const fields = entries.map(([field, column]) => [
    field,
    sql`${sql.identifier(as)}.${sql.identifier(field)}`.mapWith(column),
  ]);
  return {
    from: (rows) => sql`jsonb_to_recordset(${rows}::jsonb) as ${sql.identifier(as)}(${list})`,
    textOf: (rows) => JSON.stringify(rows),
    fields: Object.fromEntries(fields),
  };
}
