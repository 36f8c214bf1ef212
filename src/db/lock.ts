import { parseDatabaseUrl } from '../addresses/database.ts';
import { openClient } from './pool.ts';

/**
 * An advisory lock, held by a connection of its own until it is released: those of a pool are replaced now and then.
 * @returns how it is released; undefined when another session has it
 */
export async function holdLock(
  databaseUrl: string,
  name: string,
): Promise<(() => Promise<void>) | undefined> {
  const client = openClient(parseDatabaseUrl(databaseUrl), name);
  await client.connect();
  const { rows } = await client.query('select pg_try_advisory_lock(hashtext($1)) as ours', [
    `orderfleet ${name}`,
  ]);
  if (rows[0].ours) return () => client.end();
  await client.end();
  return undefined;
}
