import { PassThrough, type Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { type SQL, sql } from 'drizzle-orm';
import { PgDialect } from 'drizzle-orm/pg-core';
import type { Sql, Tx } from './client.ts';

const dialect = new PgDialect();

/**
 * Reads the rows of a query as CSV with a header. When the reader fails the rest is thrown away, since the driver
 * (3.4.9) sends nothing else until all of it has arrived.
 * @param query without parameters, which Postgres allows in no COPY
 * @returns what `read` returns
 */
export async function copyOut<T>(tx: Tx, query: SQL, read: (csv: Readable) => Promise<T>): Promise<T> {
  const { sql: text, params } = dialect.sqlToQuery(sql`copy (${query}) to stdout (format csv, header)`);
  if (params.length > 0) throw new Error('COPY takes no parameters');
  const { client } = tx._.session as unknown as { client: Pick<Sql, 'unsafe'> };
  const arriving = await client.unsafe(text).readable();
  const csv = new PassThrough();
  arriving.once('error', (error) => csv.destroy(error)).pipe(csv);
  try {
    return await read(csv);
  } finally {
    await finished(arriving.unpipe(csv).resume()).catch(() => {}); // `read` has failed by the same error
    // when the end comes along with more rows than it buffers, the driver leaves its socket paused
    arriving._read(0);
  }
}
