import type { Db } from './client.ts';

class Undone extends Error {}

/**
 * Tries what every job needs of Postgres, and leaves nothing: a statement, and a transaction, which has connections of its
 * own, that writes a row and is undone. So a standby, a database that is read-only, a full disk, a role without rights
 * and tables that are missing are seen, all of which `select 1` answers.
 * @throws the driver's error
 */
export async function verifyDb({ $client: sql }: Pick<Db, '$client'>): Promise<void> {
  const write = sql.begin(async (tx) => {
    await tx`insert into samples (series, at, value) values ('verify', now(), 0)`;
    throw new Undone();
  });
  await Promise.all([
    sql`select 1`,
    write.catch((error) => {
      if (!(error instanceof Undone)) throw error;
    }),
  ]);
}
