import getPort from 'get-port';
import type { Measured, Row } from '../../docs/performance.ts';
import { readFleetMetrics } from '../../src/ops/fleet-metrics.ts';
import { readOverview } from '../../src/ops/overview.ts';
import { samplerTasks } from '../../src/ops/sampler.ts';
import type { Context } from '../support/case.ts';
import { tidy } from '../support/tables.ts';
import type { Trade } from './disk.ts';
import { measuredOnce, once } from './rows.ts';

/** The first of each plans its statements. */
const TIMES = 4;

/** What is read of the whole fleet: by Prometheus, by the sampler, by whoever looks at the overview. */
export async function reads({ stage, ours }: Context, trades: readonly Trade[]): Promise<Measured> {
  const rows: Row[] = [];
  let most = 0;
  for (const { fleet, sql, env, stores, parcels } of trades) {
    await tidy(sql);
    const PORT = String(await getPort());
    const web = await ours.start('web', { ...env, PORT });
    const sample = samplerTasks(fleet).find(({ id }) => id === 'overview-sample');
    let written = 0;
    const get = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${PORT}${path}`);
      if (answer.status !== 200) throw new Error(`${path}: HTTP ${answer.status}`);
      return (await answer.arrayBuffer()).byteLength;
    };
    const asks: Record<string, () => Promise<number>> = {
      'statements of /metrics': async () => (await readFleetMetrics(fleet)).stores.length,
      'statements of the overview': async () =>
        (await readOverview(fleet, { openOrders: true })).stores.length,
      '/metrics': () => get('/metrics'),
      '/': () => get('/'),
      'a minute’s samples': async () => {
        written = (await sample?.run(AbortSignal.timeout(60_000)))?.samples ?? 0;
        return written;
      },
    };
    for (const [what, ask] of Object.entries(asks)) {
      const took: number[] = [];
      let size = 0;
      const { cpu, others } = await stage.measure(async () => {
        for (let nth = 0; nth < TIMES; nth++) {
          const at = performance.now();
          size = Math.max(size, await ask());
          took.push(performance.now() - at);
        }
      });
      most = Math.max(most, others);
      rows.push(
        once(`${what}, ${stores.toLocaleString('en')} stores and ${parcels.toLocaleString('en')} parcels`, {
          'fastest, ms': Math.min(...took),
          'slowest, ms': Math.max(...took),
          'Postgres’ CPU, ms': ((cpu.postgres ?? 0) * 1_000) / TIMES,
          ...(what.startsWith('/') ? { 'answer, kB': size / 1_000 } : { rows: size }),
        }),
      );
    }
    await web.stop();
  }
  return measuredOnce(
    {
      what: 'P10: what is read of the whole fleet, by stores and parcels',
      size: `each ${TIMES} times, one after the other; every store with an app key of its own`,
      rows,
      checked: 'every page was found',
    },
    most,
  );
}
