import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { bareNamesIn } from '../support/bare-names.ts';
import { ROOT } from '../support/process.ts';

/** Programs that are not ours: they know the tables, and nothing of our schema. */
const OTHERS = ['sandbox/other-channels.ts', 'sandbox/shipping-app.ts'];

describe('tables and columns are named by the schema alone', () => {
  it('in this checkout, outside of src/db', async () => {
    const found: Record<string, string[]> = {};
    for (const folder of ['src', 'workers', 'sandbox'])
      for (const name of await readdir(path.join(ROOT, folder), { recursive: true })) {
        const file = path.join(folder, name).split(path.sep).join('/');
        if (!/\.tsx?$/.test(name) || file.startsWith('src/db/')) continue;
        const names = bareNamesIn(file, await readFile(path.join(ROOT, file), 'utf8'));
        if (names.length > 0) found[file] = names;
      }
    for (const file of OTHERS) {
      expect(found[file]).toBeDefined();
      delete found[file];
    }
    expect(found).toEqual({});
  });

  it.each([
    ['sql`select 1 from orders`', ['orders']],
    [`sql<{ id: string }[]>\`select \${id} from \${orders} o where o.status = 1\``, ['status']],
    [`raw\`update \${orders} set "awb_number" = \${a}\``, ['awb_number']],
    ["sql.raw('orders')", ['orders']],
    ["sql.identifier('awb_number')", ['awb_number']],
    ['await db.$client`select 1`', ['$client']],
  ])('finds %s', (source, words) => {
    expect(bareNamesIn('a.ts', source)).toEqual(words.map((word) => `1: ${word}`));
  });

  it.each([
    `sql\`select \${orders.id} from \${orders} where \${orders.status} = 'status' for no key update\``,
    `sql\`select count(*) from \${a} where \${b} ->> 'name' = \${c} at time zone 'UTC'\``,
    'text`orders by status`',
    "sql.identifier('elsewhere')",
  ])('lets %s pass', (source) => {
    expect(bareNamesIn('a.ts', source)).toEqual([]);
  });
});
