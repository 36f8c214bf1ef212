import { type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import { name } from '../db/query.ts';
import type { LeasedTable, Work } from './define.ts';

export const list = (parts: readonly (SQL | PgColumn)[]): SQL => sql.join([...parts], sql`, `);

/** Literals, no parameters: a prepared statement could not be seen to fit the index of open rows. */
export const isOpen = <T extends LeasedTable>({ table, open }: Pick<Work<T>, 'table' | 'open'>): SQL =>
  sql`${table.state} in (${sql.raw(open.map((state) => `'${state}'`).join(', '))})`;

/** The row of the table that another relation of the statement names. */
export const sameRow = <T extends LeasedTable>({ key }: Work<T>, relation: string): SQL =>
  sql.join(
    key.map((column) => sql`${column} = ${sql.identifier(relation)}.${name(column)}`),
    sql` and `,
  );
