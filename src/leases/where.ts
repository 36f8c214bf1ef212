import { type SQL, sql } from 'drizzle-orm';
import { name } from '../db/query.ts';
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
