import postgres, { type Sql } from 'postgres';

/** A connection of the bench itself. */
export const connect = (url: string): Sql => postgres(url, { max: 1, onnotice: () => {} });

/** Whatever a build keeps in its tables, without knowing them: columns that are not generated, of every table but partitions. */
const tablesOf = (sql: Sql) => sql<{ table: string; columns: string }[]>`
  select quote_ident(table_name) as table, string_agg(quote_ident(column_name), ', ' order by ordinal_position) as columns
  from information_schema.columns join information_schema.tables using (table_schema, table_name)
  where table_schema = 'public' and table_type = 'BASE TABLE' and is_generated = 'NEVER'
    and not exists (select from pg_inherits where inhrelid = to_regclass(quote_ident(table_name)))
  group by table_name order by table_name`;

/** Keeps a copy of every table as it is. */
export async function saveTables(sql: Sql): Promise<void> {
  await sql.unsafe('drop schema if exists saved cascade; create schema saved');
  for (const { table } of await tablesOf(sql))
    await sql.unsafe(`create table saved.${table} as table public.${table}`);
}

/** Sets every table back to its copy, without a dead row and with fresh statistics. */
export async function setBack(sql: Sql): Promise<void> {
  const tables = await tablesOf(sql);
  const copied = tables.map(
    ({ table, columns }) =>
      `insert into public.${table} (${columns}) overriding system value select ${columns} from saved.${table}`,
  );
  const names = tables.map(({ table }) => `public.${table}`).join(', ');
  for (let tries = 1; ; tries++) {
    try {
      await sql.begin(async (sql) => {
        await sql.unsafe('set local session_replication_role = replica'); // no trigger, no foreign key
        await sql.unsafe(`truncate ${names}`);
        for (const one of copied) await sql.unsafe(one); // in the order in which the rows came
      });
      break;
    } catch (error) {
      // a deadlock with what a process of the fleet does now and then
      if ((error as { code?: string }).code !== '40P01' || tries === 5) throw error;
    }
  }
  await tidy(sql);
}

/** So that no vacuum and no checkpoint falls into what is measured next. */
export async function tidy(sql: Sql): Promise<void> {
  await sql.unsafe('vacuum analyze');
  await sql.unsafe('checkpoint');
}
