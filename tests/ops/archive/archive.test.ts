import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { planArchive } from '../../../src/ops/archive/index.ts';
import { archiveStand, BEFORE, ended, fillHistory, PARTS } from '../../support/archive.ts';

const stand = archiveStand();

const stored = async () =>
  (await stand.sql`select marketplace_order_id as number from orders order by 1`).map(({ number }) => number);

describe('P10: the archive', () => {
  test('is only planned by a dry run', async () => {
    await fillHistory(stand);
    await ended(stand.sql, '1');
    expect(await planArchive(stand.database.url, BEFORE)).toEqual([
      ...['01', '02', '03', '04', '05'].map((month) => ({
        ...{ table: 'shipment_events', month: `2025-${month}`, rows: expect.any(Number) },
      })),
      { table: 'orders', month: '2025-03', rows: 1 },
    ]);
    expect(await stored()).toEqual(['1']);
    expect(readdirSync(stand.dir)).toEqual([]);
  });

  test('is written by one command at a time', async () => {
    for (let n = 0; n < 20; n++) await ended(stand.sql, `${n}`);
    const both = await Promise.allSettled([stand.run(), stand.run()]);
    const refused = both.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
    expect(refused.reason.message).toBe('Another archive command is running on this database.');
    expect(await stored()).toEqual([]);
  });

  test('keeps everything in the database when it cannot be written', async () => {
    await ended(stand.sql, '1');
    mkdirSync(path.join(stand.dir, 'temu_pushes-2025-03.csv.gz.part'));
    await expect(stand.run()).rejects.toThrow(/EISDIR/);
    expect(await stored()).toEqual(['1']);
    rmSync(path.join(stand.dir, 'temu_pushes-2025-03.csv.gz.part'), { recursive: true });
    expect((await stand.run()).orders).toBe(1);
    expect(stand.listed()).toHaveLength(PARTS.length);
  });
});
