import getPort from 'get-port';
import { parseConfig } from '../../src/config/index.ts';
import { openFleet } from '../../src/fleet/index.ts';
import { SAMPLED } from '../../src/ops/charts.ts';
import { readTimelines } from '../../src/ops/explain.ts';
import { readFleetMetrics } from '../../src/ops/fleet-metrics.ts';
import { foldSamples } from '../../src/ops/folded-samples.ts';
import { readOverview } from '../../src/ops/overview.ts';
import { ordersAtRisk } from '../../src/orders/at-risk.ts';
import { commonSettings } from '../support/builds.ts';
import { BOTH, type Case, type Context } from '../support/case.ts';
import { fill } from '../support/filled.ts';
import { type Planned, plansOf } from '../support/plans.ts';
import { connect, tidy } from '../support/tables.ts';
import { type Contender, type Measure, medianOf, percentile, takeTurns } from '../support/turns.ts';

const OPEN_ALONE = 'what is open alone';
/** So that statements run by the plans that they have in a process that has been up for a while. */
const WARM = 8;

/** P9: everything that lists, looks up or sums up, among very much that is done with. */
export const pages: Case = {
  name: 'pages',
  says: 'pages, look-ups and the status of a million orders and three million parcels, beside the open ones alone',
  onlyByName: true,
  backends: BOTH,
  sizes: {
    pagesOrders: { full: 1_000_000, quick: 20_000, says: 'orders that are stored, with three parcels each' },
    times: { full: 40, quick: 5, says: 'how often each is asked for in a turn' },
  },
  async run(context) {
    const { stage, size } = context;
    const orders = size('pagesOrders');
    const open = Math.floor(orders / 65);
    const whole = await filled(context, 'fleet', orders, open);
    const alone = await filled(context, OPEN_ALONE, open, open);
    const plans = await whole.plans();
    const scans = plans.filter(({ scanned }) => scanned.length > 0);
    for (const { text, scanned } of scans) console.error(`  scans ${scanned.join(', ')}: ${text}`);
    if (scans.length > 0) throw new Error(`P9: ${scans.length} statements scan a table that grows`);
    const { rows, discarded } = await takeTurns(stage, [whole.contender, alone.contender], context);
    await whole.close();
    await alone.close();
    const names = rows.flatMap(({ name }) =>
      name.startsWith('fleet, ') ? [name.slice('fleet, '.length)] : [],
    );
    const slowest = names.reduce((a, b) => (p95(rows, 'fleet', a) > p95(rows, 'fleet', b) ? a : b));
    return [
      {
        what: 'P9: pages, look-ups and the status of the fleet',
        size: `${orders.toLocaleString('en')} orders and three parcels each, of which ${open.toLocaleString('en')} are on their way; each asked for ${size('times')} times a turn, one after the other`,
        rows,
        ratios: [
          {
            says: `the slowest, ${slowest}, p95 in ms`,
            value: p95(rows, 'fleet', slowest),
            goal: { below: 100 },
          },
          {
            says: 'the overview ÷ the same of what is open alone',
            value: p95(rows, 'fleet', '/') / p95(rows, OPEN_ALONE, '/'),
          },
        ],
        discarded,
        checked: `every page was found, and none of ${plans.length} statements scanned a table that grows`,
      },
    ];
  },
};

const p95 = (rows: Parameters<typeof medianOf>[0], who: string, what: string) =>
  medianOf(rows, `${who}, ${what}`, 'p95, ms');

/** The web process and the commands' statements, on a database of that size. */
async function filled({ stage, ours, backend, size }: Context, name: string, orders: number, open: number) {
  const PORT = String(await getPort());
  const env = {
    ...commonSettings(),
    ...stage.queues(backend),
    ...{ DATABASE_URL: await stage.database('pages'), PORT },
  };
  await ours.command(env, 'migrate');
  const sql = connect(env.DATABASE_URL);
  await fill(sql, orders, open);
  const opened = () => openFleet(parseConfig(env), 'bench');
  let fleet = opened();
  await foldSamples(fleet.db, SAMPLED, Date.now() / 1000, 0); // as the scheduler would have
  await tidy(sql);
  let web = await ours.start('web', env);
  /** Numbers of open orders: every fifth, since one of five is not Temu's. */
  const number = (nth: number) => 5 * (Math.floor(orders / 5) - (nth % Math.floor(open / 5)));
  const get = async (path: string, expected = 200) => {
    const answer = await fetch(`http://127.0.0.1:${PORT}${path}`, { redirect: 'manual' });
    await answer.arrayBuffer();
    if (answer.status !== expected) throw new Error(`${path}: HTTP ${answer.status}`);
  };
  /** What is asked for, by its name; charts are kept for some seconds, so each asks for other hours. */
  const asks: Record<string, (nth: number) => Promise<unknown>> = {
    '/': (nth) => get(`/?hours=${1 + ((nth * 7) % 168)}`),
    '/data.json': (nth) => get(`/data.json?hours=${168 - ((nth * 7) % 168)}`),
    ...Object.fromEntries(
      ['risk', 'parked', 'failed', 'incomplete', 'errors', 'unmatched'].map((list) => [
        `/orders?show=${list}`,
        (nth: number) => get(`/orders?show=${list}&page=${1 + (nth % 3)}`),
      ]),
    ),
    '/orders?says=…': () => get('/orders?show=errors&says=no%20SKU'),
    '/orders?q=…, found': (nth) => get(`/orders?q=PO-076-${number(nth)}`, 303),
    '/orders?q=…, unknown': (nth) => get(`/orders?q=none-${nth}`, 404),
    'an order': (nth) => get(`/orders/PO-076-${number(nth)}`),
    'a parcel': (nth) => get(`/orders/AWB${number(nth) * 3}`),
    '/metrics': () => get('/metrics'),
    '/queues': () => get('/queues/api/queues'),
    'statements of /metrics': () => readFleetMetrics(fleet),
    'statements of status': () => readOverview(fleet),
    'statements of explain': (nth) => readTimelines(fleet, `PO-076-${number(nth)}`),
    'statements of awb list': () => ordersAtRisk(fleet.db, fleet.clock()),
  };
  const askAll = async (times: number) => {
    const took: Record<string, number[]> = {};
    for (const [what, ask] of Object.entries(asks)) {
      const its: number[] = [];
      for (let nth = 0; nth < times; nth++) {
        const at = performance.now();
        await ask(nth);
        its.push(performance.now() - at);
      }
      took[what] = its.sort((a, b) => a - b);
    }
    return took;
  };
  const again = async () => {
    await web.stop();
    await fleet.close();
    web = await ours.start('web', env);
    fleet = opened();
  };
  const contender: Contender = {
    name,
    async turn(measure: Measure) {
      const { result } = await measure(() => askAll(size('times')));
      return Object.fromEntries(
        Object.entries(result).map(([what, ms]) => [
          what,
          { 'p50, ms': percentile(ms, 0.5), 'p95, ms': percentile(ms, 0.95) },
        ]),
      );
    },
  };
  return {
    contender,
    /** The statements that all of it runs. */
    plans: async (): Promise<Planned[]> => {
      const plans = await plansOf(sql, stage.log, async () => {
        await again();
        await askAll(WARM);
      });
      await again();
      return plans;
    },
    async close() {
      await web.stop();
      await fleet.close();
      await sql.end();
    },
  };
}
