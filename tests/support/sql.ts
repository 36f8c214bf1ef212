import postgres, { type Sql } from 'postgres';

/**
 * A test's own look at the tables: the driver with its own types (times, JSON and arrays are read), and none of the product's
 * pools, rules and decoders. It connects when it is first used.
 */
export const openSql = (url: string): Sql =>
  postgres(url, { max: 4, connection: { application_name: TEST_SQL }, onnotice: () => {} });

/** How its connections are called, for those who cut all others. */
export const TEST_SQL = 'a test';
