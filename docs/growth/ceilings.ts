import { type CourierLimits, type Inputs, parcelsAMonth, type Simulation } from './simulation.ts';

/** P10: at how many parcels a month each part is full, and what to do then. */
export interface Ceiling {
  part: string;
  /** Parcels a month. */
  parcels: number;
  /** What it is full of. */
  says: string;
  todo: string;
}

/** What one machine of each kind is taken to carry: no measurement, an assumption that is printed beside the result. */
export const MACHINES = {
  postgresCores: 32,
  /** Bytes a second that one disk keeps up with, replicas included. */
  wal: 200e6,
  disk: 16e12,
  /** `max_connections` of docs/deploy.md. */
  connections: 300,
  /** Redis, and each task of the scheduler, have one core. */
  core: 0.7,
  temuCallsAnAppKey: 20,
  /** Of its limit, which T17 keeps to. */
  temuUse: 0.95,
};

/**
 * All that carries a limit, the first one first. Loads are in proportion to parcels, with stores in proportion.
 * @param shared the same fleet with one app key for all stores
 */
export function ceilings(
  inputs: Inputs,
  { peak, bytesKept }: Simulation,
  shared: Simulation,
  couriers: readonly CourierLimits[],
): Ceiling[] {
  const at = (capacity: number, load: number) => (inputs.parcels * capacity) / load;
  const temu = MACHINES.temuCallsAnAppKey * MACHINES.temuUse;
  return [
    ...couriers.map((courier) => ({
      part: `${courier.name}, one account`,
      parcels: parcelsAMonth(courier, inputs.daysInFlight),
      says: 'its own limit and interval; beyond it a parcel is polled less often, and nothing is lost',
      todo: 'a tracker has one account for all stores: agree a higher limit with the courier and set `…_LIMIT`; use its feed or webhooks; poll less often (`…_EVERY`)',
    })),
    {
      part: 'Temu, all stores on one app key',
      parcels: at(temu, shared.peak.temuCalls),
      says: '20 calls a second, at the busiest hour',
      todo: 'an app key for each store, or ask Temu to raise the limit (`TEMU_QPS`)',
    },
    {
      part: 'Temu, an app key each',
      parcels: at(temu, peak.temuCallsAnAppKey),
      says: '20 calls a second of the mean store, at the busiest hour, with the number of stores unchanged; the largest store gets there first',
      todo: 'ask Temu to raise the limit of that app key (`TEMU_QPS`)',
    },
    {
      part: 'Postgres, connections',
      parcels: at(MACHINES.connections, peak.connections),
      says: `${MACHINES.connections} connections, 12 of each worker`,
      todo: 'raise `max_connections`; PgBouncer in session mode, since idle connections are closed after ten seconds',
    },
    {
      part: 'Postgres, CPU',
      parcels: at(MACHINES.postgresCores * MACHINES.core, peak.postgresCores),
      says: `${MACHINES.postgresCores} cores, 70 % busy at the busiest hour`,
      todo: 'a larger machine; then the end of the design: one Postgres owns what is due, and stores would have to be divided over several fleets',
    },
    {
      part: 'Postgres, WAL',
      parcels: at(MACHINES.wal, peak.wal),
      says: '200 MB a second at the busiest hour, as far as the WAL follows a checkpoint as closely as in the measurement',
      todo: 'faster disks, rarer checkpoints (`max_wal_size`, `checkpoint_timeout`), `wal_compression`',
    },
    {
      part: 'Postgres, disk',
      parcels: at(MACHINES.disk, bytesKept),
      says: `16 TB with ${inputs.monthsKept} months kept`,
      todo: '`orderfleet archive` monthly with a smaller `ARCHIVE_MONTHS` (4 at least)',
    },
    {
      part: 'Redis, CPU',
      parcels: at(MACHINES.core, peak.redisCores),
      says: 'one core, 70 % busy at the busiest hour',
      todo: 'all queues have one hash tag, so a cluster does not divide them: another Redis for another fleet',
    },
    {
      part: 'scheduler, CPU',
      parcels: at(MACHINES.core, peak.schedulerCores),
      says: 'one core, 70 % busy: several may run, but each task runs in one of them at a time',
      todo: 'a second scheduler shares the tasks; beyond that divide the stores over several fleets',
    },
  ].sort((a, b) => a.parcels - b.parcels);
}
