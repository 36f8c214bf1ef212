import { readFigures } from './figures.ts';
import type { Fleet } from './fleet.ts';
import { minutes } from './queue/define.ts';
import type { Task } from './queue/maintenance.ts';

/** What the overview shows goes back a week (O3); a day more, so that its first day is whole. */
const KEPT_MS = 8 * 86_400_000;

interface Sample {
  series: string;
  label: string;
  value: number;
}

/** O3: remembers once a minute what no other table does, for the overview's charts (table `samples`). */
export const samplerTasks = (fleet: Fleet): Task[] => [
  {
    id: 'overview-sample',
    everyMs: minutes(1),
    run: async () => ({ samples: await writeSamples(fleet) }),
  },
  {
    id: 'overview-forget',
    everyMs: minutes(60),
    async run() {
      const gone = await fleet.db.$client`
        delete from samples where at < ${new Date(fleet.clock() - KEPT_MS)}`;
      return { forgotten: gone.count };
    },
  },
];

/** @returns how many were written; none when another scheduler has written this minute's */
async function writeSamples(fleet: Fleet): Promise<number> {
  const sql = fleet.db.$client;
  const at = new Date(Math.floor(fleet.clock() / minutes(1)) * minutes(1));
  const samples = await readSamples(fleet);
  const written = await sql`
    insert into samples (series, label, at, value)
    select series, label, ${at}, value from unnest(${samples.map(({ series }) => series)}::text[],
      ${samples.map(({ label }) => label)}::text[], ${samples.map(({ value }) => value)}::float8[]) s(series, label, value)
    on conflict do nothing`;
  return written.count;
}

async function readSamples(fleet: Fleet): Promise<Sample[]> {
  const [figures, followed] = await Promise.all([
    readFigures(fleet),
    fleet.db.$client<{ status: string; parcels: number }[]>`
      select status, count(*)::int as parcels from shipments where tracked_by is not null group by status`,
  ]);
  const { awb, orders, queues, quotas, trackers } = figures;
  return [
    ...quotas.map(({ account, used }) => ({ series: 'quota_used', label: account, value: used })),
    ...trackers.map(({ tracker, wait }) => ({ series: 'waiting_seconds', label: tracker, value: wait })),
    ...trackers.flatMap(({ tracker, staleness: [median] }) =>
      median === undefined ? [] : [{ series: 'staleness_seconds', label: tracker, value: median }],
    ),
    ...trackers.flatMap(({ tracker, heard }) =>
      heard === null ? [] : [{ series: 'heard_seconds', label: tracker, value: heard }],
    ),
    ...followed.map(({ status, parcels }) => ({ series: 'parcels', label: status, value: parcels })),
    ...queues.map(({ queue, depth }) => ({ series: 'queue_depth', label: queue, value: depth })),
    ...(awb.minutesToDeadline === null
      ? []
      : [{ series: 'awb_minutes', label: '', value: awb.minutesToDeadline }]),
    { series: 'orders_waiting', label: '', value: orders.pending ?? 0 },
  ];
}
