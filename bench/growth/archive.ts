import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Measured } from '../../docs/performance.ts';
import { FEWEST_MONTHS } from '../../src/ops/archive/index.ts';
import type { Context } from '../support/case.ts';
import { tidy } from '../support/tables.ts';
import type { Trade } from './disk.ts';
import { measuredOnce, once } from './rows.ts';

interface Archived {
  files: { rows: number }[];
  partitions: string[];
  orders: number;
}

/** The built command `orderfleet archive`, of all that may go. */
export async function archive({ stage, ours }: Context, { env, sql, parcels }: Trade): Promise<Measured> {
  const to = mkdtempSync(join(tmpdir(), 'orderfleet-archive-'));
  try {
    const now = new Date();
    const before = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - FEWEST_MONTHS));
    const counts = async () => {
      const [row] = await sql<{ orders: number; events: number }[]>`
        select (select count(*)::int from orders) as orders, (select count(*)::int from shipment_events) as events`;
      return row ?? { orders: 0, events: 0 };
    };
    await tidy(sql);
    const stored = await counts();
    const at = performance.now();
    const { result, cpu, others } = await stage.measure(() =>
      ours.command(env, 'archive', '--before', before.toISOString().slice(0, 7), '--to', to, '--json'),
    );
    const seconds = (performance.now() - at) / 1_000;
    const archived = JSON.parse(result) as Archived;
    const left = await counts();
    const rows = archived.files.reduce((sum, file) => sum + file.rows, 0);
    if (stored.orders - left.orders !== archived.orders || archived.orders === 0)
      throw new Error(`${archived.orders} orders archived, ${stored.orders - left.orders} are gone`);
    const bytes = readdirSync(to).reduce((sum, file) => sum + statSync(join(to, file)).size, 0);
    return measuredOnce(
      {
        what: 'P10: orderfleet archive',
        size: `${parcels.toLocaleString('en')} parcels stored, all that ended more than ${FEWEST_MONTHS} months ago`,
        rows: [
          once('archive', {
            rows,
            orders: archived.orders,
            'partitions dropped': archived.partitions.length,
            seconds,
            'rows a second': rows / seconds,
            'Postgres’ CPU, s': cpu.postgres ?? 0,
            'bytes a row in the files': bytes / rows,
          }),
        ],
        checked: 'as many orders are gone as the command says, and every file has its rows',
      },
      others,
    );
  } finally {
    rmSync(to, { recursive: true, force: true });
  }
}
