import { describe, expect, test } from 'vitest';
import type { Db } from '../../../src/db/client.ts';
import { type Archive, openArchive } from '../../../src/ops/archive/files.ts';
import { archivePartition, oldPartitions } from '../../../src/ops/archive/history.ts';
import type { Archived } from '../../../src/ops/archive/index.ts';
import { makePartitions } from '../../../src/tracking/partitions.ts';
import { archiveStand, BEFORE, cutOffAfter, expectRestored, fillHistory } from '../../support/archive.ts';
import { held } from '../../support/held.ts';

const stand = archiveStand();

const historyStored = async () =>
  (
    await stand.sql`select to_char(recorded_at at time zone 'UTC', 'YYYY-MM') as month from shipment_events group by 1 order by 1`
  ).map(({ month }) => month);
const REST = ['2025-06', '2025-07', '2025-08'];

describe('P10: history', () => {
  test('is written by month and dropped, and can be restored', async () => {
    await fillHistory(stand);
    const done = await stand.run();
    expect(done.partitions).toEqual(
      ['01', '02', '03', '04', '05'].map((month) => `shipment_events_2025_${month}`),
    );
    expect(stand.listed().map(({ file }) => file)).toEqual(
      ['01', '02', '03', '04', '05'].map((month) => `shipment_events-2025-${month}.csv.gz`),
    );
    expect(await historyStored()).toEqual(REST);
    await expectRestored(stand.sql, stand.dir, ['shipment_events']);
    expect((await stand.run()).files).toEqual([]);
  });

  test('before it had months goes once all of it is old, by month as well', async () => {
    await stand.sql`
      insert into shipment_events (shipment_id, status, occurred_at, recorded_at)
      select gen_random_uuid(), 'in_transit', at, at
      from generate_series('2024-11-01T00:00:00Z'::timestamptz, '2025-02-01T00:00:00Z', interval '1 day') at`;
    expect((await stand.run()).files).toEqual([]);
    // as if the migration had been in March
    await stand.sql`alter table shipment_events detach partition shipment_events_first`;
    await stand.sql`alter table shipment_events attach partition shipment_events_first for values from (minvalue) to ('2025-05-01T00:00:00Z')`;
    await stand.sql`create table saved_shipment_events as select * from shipment_events`;
    expect((await stand.run()).partitions).toEqual(['shipment_events_first']);
    expect(stand.listed().map(({ month, rows }) => [month, rows])).toEqual([
      ...[
        ['2024-11', 30],
        ['2024-12', 31],
        ['2025-01', 31],
        ['2025-02', 1],
      ],
    ]);
    await expectRestored(stand.sql, stand.dir, ['shipment_events']);
  });

  test.each<[string, (db: Db, archive: Archive) => Promise<unknown>]>([
    [
      'after its files were written',
      async (db, archive) => {
        const [first] = await oldPartitions(db, BEFORE);
        await expect(archivePartition(db, cutOffAfter(archive), first as never)).rejects.toThrow('cut off');
      },
    ],
    [
      'after it was taken out of the table',
      () => stand.sql`alter table shipment_events detach partition shipment_events_2025_02`,
    ],
    [
      'between its files, one of which nobody lists',
      async (db, archive) => {
        const [first] = await oldPartitions(db, BEFORE);
        const add = () => Promise.reject(new Error('cut off'));
        await expect(archivePartition(db, { ...archive, add }, first as never)).rejects.toThrow('cut off');
      },
    ],
  ])('that is cut off %s is gone on with: nothing lost, nothing twice', async (_, cutOff) => {
    await fillHistory(stand);
    await cutOff(stand.connect(), await openArchive(stand.dir));
    const done = await stand.run();
    expect(done.partitions).toHaveLength(5);
    expect(await historyStored()).toEqual(REST);
    await expectRestored(stand.sql, stand.dir, ['shipment_events']);
  });

  test('that comes late, while it is archived or afterwards, is archived too', async () => {
    await fillHistory(stand);
    const late = (at: string) => stand.sql`
      with late as (
        insert into shipment_events (shipment_id, status, occurred_at, recorded_at)
        values (gen_random_uuid(), 'lost', ${at}, ${at}) returning *)
      insert into saved_shipment_events select * from late`;
    const db = stand.connect();
    const [january] = await oldPartitions(db, BEFORE);
    const cutOff = archivePartition(db, cutOffAfter(await openArchive(stand.dir)), january as never);
    await expect(cutOff).rejects.toThrow('cut off');
    await late('2025-01-31T00:00:00Z');
    await stand.run();
    await late('2025-01-31T12:00:00Z'); // its month is gone: into the default partition
    await makePartitions({ db, clock: () => Date.parse('2025-08-01T00:00:00Z') });
    await stand.run();
    const [first, second, ...more] = stand.listed().filter(({ month }) => month === '2025-01');
    expect([first?.file, second?.file, more]).toEqual([
      ...['shipment_events-2025-01.csv.gz', 'shipment_events-2025-01-2.csv.gz', []],
    ]);
    await expectRestored(stand.sql, stand.dir, ['shipment_events']);
  });

  test('that somebody reads is waited for', async () => {
    await fillHistory(stand);
    const reader = stand.sql;
    let done: Promise<Archived> | undefined;
    await reader.begin(
      held(async (reading) => {
        await reading`select from shipment_events`;
        done = stand.run();
        await new Promise((resolve) => setTimeout(resolve, 1_500));
      }),
    );
    expect((await done)?.partitions).toHaveLength(5);
  });
});
