/**
 * P10: what each part of a fleet carries, from what was measured of small ones. Pure: no file, no clock.
 * Times are seconds, sizes bytes, rates per second, a month 30 days, unless a name says otherwise.
 */

export interface Inputs {
  stores: number;
  /** A month. */
  parcels: number;
  parcelsAnOrder: number;
  linesAnOrder: number;
  /** From booking until its last status. */
  daysInFlight: number;
  /** Changes of status that are recorded of a parcel. */
  scansAParcel: number;
  /** How often an order is read in full, since Temu says that it has changed: two calls each. */
  readingsAnOrder: number;
  /** AWB numbers sent to Temu, rebookings included. */
  awbsAnOrder: number;
  noticesAParcel: number;
  /** The busiest day of the year against the mean one, and the busiest hour of a day against its mean. */
  peakDay: number;
  peakHour: number;
  /** Stores that share an app key, and with it Temu's limit. */
  storesAnAppKey: number;
  /** Months that stay in the database: `ARCHIVE_MONTHS`. */
  monthsKept: number;
}

export const DEFAULTS: Inputs = {
  stores: 10_000,
  parcels: 100_000_000,
  parcelsAnOrder: 1.2,
  linesAnOrder: 1.5,
  daysInFlight: 6,
  scansAParcel: 5,
  readingsAnOrder: 3,
  awbsAnOrder: 1.2,
  noticesAParcel: 0.05,
  peakDay: 3,
  peakHour: 2.5,
  storesAnAppKey: 1,
  monthsKept: 24,
};

/** Tables that grow, and how many rows each unit of trade leaves in them. */
export const TABLES = [
  ...(['orders', 'temu_orders', 'products_in_order', 'order_item_lines', 'temu_order_inbox'] as const),
  ...(['shipments', 'tracked_parcels', 'shipment_events', 'temu_pushes', 'awb_events', 'notices'] as const),
  ...(['temu_sync_windows', 'tracking_batches'] as const),
];
export type Table = (typeof TABLES)[number];

/** What one unit of work costs. CPU in seconds, by who used it. */
export interface Cost {
  worker: number;
  postgres: number;
  redis: number;
  /** Bytes of WAL. */
  wal: number;
  commits: number;
}

/** What was measured. */
export interface Costs {
  bytesARow: Record<Table, number>;
  /** Of an order that is read and written. */
  order: Cost;
  awb: Cost;
  /** Of a parcel that is polled, with and without a change. */
  pollChanged: Cost;
  pollUnchanged: Cost;
  /** Of the scheduler, for a store and a second; and once for the fleet. */
  schedulerAStore: Pick<Cost, 'worker' | 'postgres' | 'redis'>;
  schedulerAlone: Pick<Cost, 'worker' | 'postgres' | 'redis'>;
  redisBytesAJob: number;
  /** Resident memory of a worker under load. */
  workerBytes: number;
  /** Rows a second that `orderfleet archive` takes out. */
  archiveRows: number;
}

/** A courier's limits, as its tracker keeps them. */
export interface CourierLimits {
  name: string;
  /** Numbers a request. */
  batch: number;
  /** From one run to the next. */
  every: number;
  /** Undefined: unlimited. */
  limit?: { max: number; seconds: number };
  mostPerRun?: number;
  /** Requests. */
  dailyLimit?: number;
}

const DAY = 86_400;
export const MONTH = 30 * DAY;
/** T2: a store's sync, and how many list calls it makes when little has changed: the page and the closing check. */
const SYNC_EVERY = 300;
const CALLS_A_SYNC = 2;
/** P7: orders of one job. */
const ORDERS_A_JOB = 5;
/** Windows and batches are kept for a month. */
const KEPT_MONTHS: Partial<Record<Table, number>> = {
  ...{ temu_sync_windows: 1, tracking_batches: 1, notices: 1, tracked_parcels: 0 },
};

/** Parcels that a tracker can poll each interval: more are polled less often. */
export function parcelsPerInterval({ batch, every, limit, mostPerRun, dailyLimit }: CourierLimits): number {
  return Math.min(
    limit ? (batch * limit.max * every) / limit.seconds : Infinity,
    mostPerRun ?? Infinity,
    dailyLimit === undefined ? Infinity : (dailyLimit * batch * every) / DAY,
  );
}

/** Parcels a month that one account of a courier carries without a parcel being polled late. */
export const parcelsAMonth = (courier: CourierLimits, daysInFlight: number): number =>
  (parcelsPerInterval(courier) * 30) / daysInFlight;

/** What the parts of a fleet carry, at the mean hour and at the busiest one. */
export interface Load {
  orders: number;
  awbs: number;
  /** Parcels in flight, and polls as often as trackers want them and as often as one account of each courier allows. */
  inFlight: number;
  pollsWanted: number;
  pollsAllowed: number;
  pollRequests: number;
  /** To Temu, of the fleet and of one app key. */
  temuCalls: number;
  temuCallsAnAppKey: number;
  jobs: number;
  commits: number;
  /** Bytes a second. */
  wal: number;
  /** Cores that are busy. */
  postgresCores: number;
  redisCores: number;
  schedulerCores: number;
  workerCores: number;
  workers: number;
  connections: number;
  /** Bytes of the rows that polls read and write again and again: they are to fit into memory. */
  inMemory: number;
  /** Of jobs that wait when workers have been away for ten minutes. */
  redisBytes: number;
  workerMemory: number;
}

export interface Simulation {
  mean: Load;
  peak: Load;
  rowsAMonth: Record<Table, number>;
  bytesAMonth: Record<Table, number>;
  /** Once `monthsKept` are full. */
  bytesKept: number;
  /** Seconds of `orderfleet archive` a month. */
  archiveSeconds: number;
}

/** A worker is one core, and is not to be busier than this; it opens so many connections (docs/deploy.md). */
const BUSY = 0.7;
const CONNECTIONS = 12;
const AWAY = 600;

/**
 * @param couriers have the same share of the parcels each
 * @throws RangeError for an input that is no positive number
 */
export function simulate(inputs: Inputs, costs: Costs, couriers: readonly CourierLimits[]): Simulation {
  for (const [name, value] of Object.entries(inputs))
    if (!(value > 0 && Number.isFinite(value))) throw new RangeError(`${name} is ${value}`);
  const mean = loadAt(inputs, costs, couriers, 1, 1);
  const peak = loadAt(inputs, costs, couriers, inputs.peakDay, inputs.peakHour);
  const rowsAMonth = rowsOf(inputs, mean);
  const bytesAMonth = map(rowsAMonth, (rows, table) => rows * costs.bytesARow[table]);
  const kept = map(bytesAMonth, (bytes, table) => bytes * (KEPT_MONTHS[table] ?? inputs.monthsKept));
  const archived = TABLES.filter((table) => KEPT_MONTHS[table] === undefined);
  return {
    ...{ mean, peak, rowsAMonth, bytesAMonth },
    bytesKept: sum(Object.values(kept)) + mean.inFlight * costs.bytesARow.tracked_parcels,
    archiveSeconds: sum(archived.map((table) => rowsAMonth[table])) / costs.archiveRows,
  };
}

function rowsOf(inputs: Inputs, { pollRequests }: Load): Record<Table, number> {
  const { parcels, stores } = inputs;
  const orders = parcels / inputs.parcelsAnOrder;
  const lines = orders * inputs.linesAnOrder;
  const awbs = orders * inputs.awbsAnOrder;
  return {
    ...{ orders, temu_orders: orders, products_in_order: lines, order_item_lines: lines },
    ...{ temu_order_inbox: orders, shipments: parcels, tracked_parcels: parcels },
    ...{ shipment_events: parcels * inputs.scansAParcel, temu_pushes: awbs, awb_events: awbs },
    notices: parcels * inputs.noticesAParcel,
    temu_sync_windows: (stores * MONTH) / SYNC_EVERY,
    tracking_batches: pollRequests * MONTH,
  };
}

function loadAt(
  inputs: Inputs,
  costs: Costs,
  couriers: readonly CourierLimits[],
  day: number,
  hour: number,
): Load {
  const { parcels, stores, parcelsAnOrder, daysInFlight } = inputs;
  const ordersMean = parcels / parcelsAnOrder / MONTH;
  const orders = ordersMean * day * hour;
  const awbs = orders * inputs.awbsAnOrder;
  const readings = orders * inputs.readingsAnOrder;
  // what is in flight follows the day, not the hour
  const inFlight = (parcels / 30) * daysInFlight * day;
  const its = couriers.map((courier) => {
    const share = inFlight / couriers.length;
    const polled = Math.min(share, parcelsPerInterval(courier));
    return { wanted: share / courier.every, allowed: polled / courier.every, batch: courier.batch };
  });
  const pollsAllowed = sum(its.map(({ allowed }) => allowed));
  const pollRequests = sum(its.map(({ allowed, batch }) => allowed / batch));
  const changed = Math.min(pollsAllowed, ((parcels * inputs.scansAParcel) / MONTH) * day * hour);
  const syncs = stores / SYNC_EVERY;
  const temuCalls = syncs * CALLS_A_SYNC + readings * 2 + awbs;
  const of = (what: keyof Cost) =>
    readings * costs.order[what] +
    awbs * costs.awb[what] +
    changed * costs.pollChanged[what] +
    (pollsAllowed - changed) * costs.pollUnchanged[what];
  const scheduler = (what: 'worker' | 'postgres' | 'redis') =>
    stores * costs.schedulerAStore[what] + costs.schedulerAlone[what];
  const workerCores = of('worker');
  const workers = Math.ceil(workerCores / BUSY) + 3; // scheduler, alerts, web
  const jobs = syncs + readings / ORDERS_A_JOB + awbs * 2 + pollRequests;
  return {
    ...{ orders, awbs, inFlight, pollsAllowed, pollRequests, temuCalls, jobs, workerCores, workers },
    pollsWanted: sum(its.map(({ wanted }) => wanted)),
    temuCallsAnAppKey: temuCalls * Math.min(1, inputs.storesAnAppKey / stores),
    commits: of('commits'),
    wal: of('wal'),
    postgresCores: of('postgres') + scheduler('postgres'),
    redisCores: of('redis') + scheduler('redis'),
    schedulerCores: scheduler('worker'),
    connections: workers * CONNECTIONS,
    inMemory: inFlight * (costs.bytesARow.shipments + costs.bytesARow.tracked_parcels),
    redisBytes: jobs * AWAY * costs.redisBytesAJob,
    workerMemory: workers * costs.workerBytes,
  };
}

const sum = (values: readonly number[]) => values.reduce((all, one) => all + one, 0);

const map = (of: Record<Table, number>, to: (value: number, table: Table) => number): Record<Table, number> =>
  Object.fromEntries(TABLES.map((table) => [table, to(of[table], table)])) as Record<Table, number>;
