import { isGrowth, type Result, readResults, sectionOf, tableOf } from '../performance.ts';
import { ceilings, MACHINES } from './ceilings.ts';
import { bytesOf, costsOf, disturbance, part } from './costs.ts';
import { courierLimits } from './couriers.ts';
import {
  DEFAULTS,
  type Inputs,
  type Load,
  parcelsAMonth,
  parcelsPerInterval,
  type Simulation,
  simulate,
  TABLES,
} from './simulation.ts';

/** docs/growth.md: rule P10's page of figures, from docs/performance.json. */
export const GROWTH_PAGE = 'docs/growth.md';

const HEAD = `<!-- made by \`npm run bench -- growth\` from what it measured, and by \`npm run docs\` from docs/performance.json -->

# Growth

What a fleet of 10,000 stores and 100 million parcels a month carries, what gives way first, and what to do (P10 of [rules.md](rules.md)). \`npm run growth -- --stores 200 --parcels 2000000\` prints the same tables for other inputs; \`npm run bench -- growth\` measures anew.
`;

/** Fleets of the table: parcels in proportion. */
const FLEETS = [10, 100, 1_000, 10_000];

const n = (value: number, digits = 3): string =>
  value >= 1e15 || !Number.isFinite(value)
    ? 'none'
    : value.toLocaleString('en', { maximumSignificantDigits: digits });
const bytes = (value: number): string => {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const at = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(value, 1)) / 3)));
  return `${n(value / 1000 ** at)} ${units[at]}`;
};
const time = (seconds: number): string =>
  seconds < 120 ? `${n(seconds)} s` : seconds < 7_200 ? `${n(seconds / 60)} min` : `${n(seconds / 3_600)} h`;

const LOADS: readonly [says: string, of: (load: Load) => string, by: 'measured' | 'given'][] = [
  ['orders a second', ({ orders }) => n(orders), 'given'],
  ['AWB numbers a second', ({ awbs }) => n(awbs), 'given'],
  ['calls to Temu a second, the fleet', ({ temuCalls }) => n(temuCalls), 'given'],
  ['parcels in flight', ({ inFlight }) => n(inFlight), 'given'],
  ['polls a second that the intervals ask for', ({ pollsWanted }) => n(pollsWanted), 'given'],
  ['polls a second that one account of each courier allows', ({ pollsAllowed }) => n(pollsAllowed), 'given'],
  ['queue jobs a second', ({ jobs }) => n(jobs), 'given'],
  [
    'Redis: jobs that wait after ten minutes without workers',
    ({ redisBytes }) => bytes(redisBytes),
    'measured',
  ],
  ['Redis: cores', ({ redisCores }) => n(redisCores), 'measured'],
  ['scheduler: cores', ({ schedulerCores }) => n(schedulerCores), 'measured'],
  ['workers: cores', ({ workerCores }) => n(workerCores), 'measured'],
  ['processes', ({ workers }) => n(workers), 'measured'],
  ['their memory', ({ workerMemory }) => bytes(workerMemory), 'measured'],
  ['connections to Postgres', ({ connections }) => n(connections), 'measured'],
  ['Postgres: cores', ({ postgresCores }) => n(postgresCores), 'measured'],
  ['Postgres: parcels in flight, to be held in memory', ({ inMemory }) => bytes(inMemory), 'measured'],
  ['Postgres: commits a second', ({ commits }) => n(commits), 'measured'],
  ['Postgres: WAL a second', ({ wal }) => bytes(wal), 'measured'],
];

/** @param fleets with their simulations, smallest first */
function loadTable(fleets: readonly { inputs: Inputs; its: Simulation }[]): string[] {
  const total = (of: Record<string, number>) => Object.values(of).reduce((sum, one) => sum + one, 0);
  return tableOf(
    ['at the busiest hour', ...fleets.map(({ inputs }) => `${n(inputs.stores)} stores`), 'from'],
    [
      ['parcels a month', ...fleets.map(({ inputs }) => n(inputs.parcels)), 'input'],
      ...LOADS.map(([says, of, by]) => [
        says,
        ...fleets.map(({ its }) => of(its.peak)),
        by === 'given' ? 'inputs and limits' : 'measured cost × inputs',
      ]),
      ['rows a month', ...fleets.map(({ its }) => n(total(its.rowsAMonth))), 'inputs'],
      ['disk a month', ...fleets.map(({ its }) => bytes(total(its.bytesAMonth))), 'measured bytes × rows'],
      ['disk, all months kept', ...fleets.map(({ its }) => bytes(its.bytesKept)), 'measured bytes × rows'],
      [
        '`orderfleet archive`, a month',
        ...fleets.map(({ its }) => time(its.archiveSeconds)),
        'measured rows a second',
      ],
    ],
  );
}

/** Tables that polls write, what they are filled by, and when Postgres would vacuum them: at a fifth of their rows by default. */
function vacuumLines(results: readonly Result[], inputs: Inputs, { peak }: Simulation): string[] {
  const vacuum = part(results, 'what a round of polls leaves');
  const stored = { shipments: inputs.parcels * inputs.monthsKept, tracked_parcels: peak.inFlight };
  const dead = (table: string, kind: string) =>
    vacuum.rows.find(({ name }) => name === `${table}, a round, ${kind}`)?.figures['dead rows a parcel']
      ?.median;
  const rows = Object.entries(stored).map(([table, rows]) => {
    const aPoll = Math.max(dead(table, 'changed') ?? 0, dead(table, 'unchanged') ?? 0);
    const after = (share: number) =>
      aPoll > 0 ? time((rows * share) / (aPoll * peak.pollsAllowed)) : 'never';
    return [`\`${table}\``, n(rows), n(aPoll), after(0.2), after(0.01)];
  });
  return [
    'Dead rows a poll are measured; the rest is computed for the largest fleet at its busiest hour. Between two vacuums dead rows take room beside the live ones, so the large tables need a smaller share than the default: `alter table shipments set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0)`, likewise `tracked_parcels` and `tracking_batches`. A month of history is never updated; its partitions need no setting.',
    '',
    ...tableOf(['table', 'rows', 'dead rows a poll', 'vacuumed every, by default', 'with 1 %'], rows),
  ];
}

const INPUTS: Record<keyof Inputs, string> = {
  stores: 'stores',
  parcels: 'parcels a month',
  parcelsAnOrder: 'parcels an order',
  linesAnOrder: 'lines an order',
  daysInFlight: 'days in flight',
  scansAParcel: 'changes of status a parcel',
  readingsAnOrder: 'full readings an order, of two calls each',
  awbsAnOrder: 'AWB numbers an order',
  noticesAParcel: 'notices a parcel',
  peakDay: 'busiest day ÷ mean day',
  peakHour: 'busiest hour ÷ its day’s mean hour',
  storesAnAppKey: 'stores that share an app key',
  monthsKept: 'months kept in the database (`ARCHIVE_MONTHS`)',
};

/** The tables for any inputs; the smaller fleets have the same parcels a store. */
export function growthTables(results: readonly Result[], inputs: Inputs): string[] {
  const costs = costsOf(results);
  const couriers = courierLimits();
  const fleets = FLEETS.filter((stores) => stores < inputs.stores)
    .concat(inputs.stores)
    .map((stores) => ({ ...inputs, stores, parcels: (inputs.parcels * stores) / inputs.stores }))
    .map((its) => ({ inputs: its, its: simulate(its, costs, couriers) }));
  const largest = fleets.at(-1)?.its as Simulation;
  const shared = simulate({ ...inputs, storesAnAppKey: inputs.stores }, costs, couriers);
  return [
    '## What gives way first',
    '',
    `Full at so many parcels a month, with stores in proportion (${n(inputs.parcels / inputs.stores)} parcels a store). Extrapolated along the measured costs, whose sizes are below with each of them: far smaller ones than this; the sizes of machines (${MACHINES.postgresCores} cores, 16 TB, 200 MB of WAL a second) are assumptions, and couriers’ and Temu’s limits are those that we keep, published or not.`,
    '',
    ...tableOf(
      ['', 'parcels a month', 'limited by', 'what to do'],
      ceilings(inputs, largest, shared, couriers).map(({ part, parcels, says, todo }) => [
        part,
        n(parcels),
        says,
        todo,
      ]),
    ),
    '',
    '## What each part carries',
    '',
    ...loadTable(fleets),
    '',
    '## Vacuum',
    '',
    ...vacuumLines(results, inputs, largest),
    '',
    '## Couriers',
    '',
    `One account of each, ${inputs.daysInFlight} days in flight. Every courier has the same share of the parcels in the tables above. From the trackers’ files; nothing of it is measured.`,
    '',
    ...tableOf(
      ['tracker', 'numbers a request', 'requests', 'every', 'parcels in flight', 'parcels a month'],
      [...couriers]
        .sort((a, b) => parcelsPerInterval(a) - parcelsPerInterval(b))
        .map((courier) => [
          `\`${courier.name}\``,
          n(courier.batch),
          `${courier.limit ? `${courier.limit.max} in ${courier.limit.seconds} s` : 'no limit'}${courier.dailyLimit ? `, ${n(courier.dailyLimit)} a day` : ''}${courier.mostPerRun ? `, ${n(courier.mostPerRun)} parcels a run` : ''}`,
          time(courier.every),
          n(parcelsPerInterval(courier)),
          n(parcelsAMonth(courier, inputs.daysInFlight)),
        ]),
    ),
  ];
}

/** The sections, or a line that says that nothing was measured. */
export function growthPage(results: readonly Result[] = readResults()): string {
  const its = results.filter(isGrowth);
  if (its.length === 0) return `${HEAD}\nNothing has been measured yet.\n`;
  const others = disturbance(results);
  return `${[
    HEAD,
    ...(others === undefined
      ? []
      : [
          `**Measured on a shared machine:** other programs used up to ${n(others * 100, 2)} % of it meanwhile. Bytes and rows do not depend on that. Times and CPU do, and so do commits and WAL, which include what the bench and idle processes did while work took longer. What the scheduler costs Postgres for each store was below that noise and counts as nothing. All of it is to be measured again on a quiet machine.`,
          '',
        ]),
    ...growthTables(results, DEFAULTS),
    '',
    '## Inputs',
    '',
    'Assumptions about trade, none of them measured.',
    '',
    ...tableOf(
      ['', 'value'],
      (Object.keys(INPUTS) as (keyof Inputs)[]).map((name) => [INPUTS[name], n(DEFAULTS[name], 9)]),
    ),
    '',
    '## Rows and bytes',
    '',
    'A row with its indexes and TOAST: the largest that was measured, of rows that our workers wrote and of those that were filled in.',
    '',
    ...tableOf(
      ['table', 'bytes a row', 'measured on', 'rows'],
      TABLES.map((table) => {
        const { bytes, rows, by } = bytesOf(results, table);
        return [`\`${table}\``, n(bytes), by, n(rows, 9)];
      }),
    ),
    '',
    '# Measured',
    '',
    ...its.map(sectionOf),
  ]
    .join('\n')
    .trimEnd()}\n`;
}
