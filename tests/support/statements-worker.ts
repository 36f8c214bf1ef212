/**
 * Statements and transactions of all kinds on pools of ours for so many seconds, while a test cuts their connections. No
 * handler of uncaught errors: one ends this process. Prints what came of them, as JSON.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { closeDb, createDb } from '../../src/db/client.ts';

const [url = '', seconds = ''] = process.argv.slice(2);
const pool = createDb(url, { max: 6, name: 'cut' });
const single = createDb(url, { max: 1, name: 'cut' });
const sql = pool.$client;
const LONG = 'x'.repeat(40_000); // more than a socket takes at once

let no = 0;
let failed = 0;
const stored: number[] = [];
const underWay = new Set<number>();

/** By which row one knows what came of it; undefined: it writes none. */
type Load = (id: number) => Promise<unknown>;
const pause = () => sleep(1);
const thrown = () => {
  throw new Error('ours');
};
const writing: Load[] = [
  (id) => sql`insert into cut_rows values (${id}, 'statement')`,
  (id) => single.$client`insert into cut_rows values (${id}, 'statement')`,
  (id) =>
    sql.begin(async (tx) => {
      await tx`insert into cut_rows values (${id}, 'first of two')`;
      await pause();
      await tx`insert into cut_rows values (${id}, 'second of two')`;
      await pause();
    }),
  (id) =>
    sql.begin((tx) => [
      tx`insert into cut_rows values (${id}, 'first of two')`,
      tx`insert into cut_rows values (${id}, 'second of two')`,
    ]),
];
const reading: Load[] = [
  (id) => sql`select ${id}::int, ${LONG}::text`,
  (id) => sql.begin((tx) => Promise.all([tx`select ${id}::int`, tx`select ${LONG}::text`, tx`select 1`])),
  // whatever happens to them, these may not be stored
  (id) =>
    sql.begin(async (tx) => {
      await tx`insert into cut_rows values (${id}, 'undone')`;
      await pause();
      thrown();
    }),
  (id) =>
    pool.transaction(async (tx) => {
      await tx.transaction((inner) => inner.execute(`insert into cut_rows values (${id}, 'undone')`));
      await pause();
      tx.rollback();
    }),
];

async function repeat(load: Load, writes: boolean, until: number): Promise<void> {
  while (performance.now() < until) {
    const id = no++;
    underWay.add(id);
    try {
      await load(id);
      if (writes) stored.push(id);
    } catch {
      failed++;
    }
    underWay.delete(id);
  }
}

await sql`create table cut_rows (id int not null, what text not null)`;
await sql.listen('cut', () => undefined);
console.log('started');
const until = performance.now() + Number(seconds) * 1000;
const all = [writing, reading].flatMap((loads) =>
  loads.map((load) => repeat(load, loads === writing, until)),
);
await Promise.race([
  Promise.all([...all, ...all]),
  sleep(Number(seconds) * 1000 + 20_000, undefined, { ref: false }),
]);
console.log(JSON.stringify({ tried: no, failed, hanging: underWay.size, stored }));
await Promise.all([closeDb(pool), closeDb(single)]);
