import type { Measured } from '../../docs/performance.ts';
import { archive } from '../growth/archive.ts';
import { choose, TRACKERS_ON } from '../growth/choose.ts';
import { disk, openTrade, type Trade } from '../growth/disk.ts';
import { flows } from '../growth/flows.ts';
import { jobs } from '../growth/jobs.ts';
import { reads } from '../growth/reads.ts';
import { scheduler } from '../growth/scheduler.ts';
import { standing } from '../growth/standing.ts';
import type { Case } from '../support/case.ts';

/** Of the largest fleet so many orders are on their way, that there are a million parcels in flight; of the others few. */
const OPEN = { largest: 2 / 3, others: 1 / 65 };
/** Stores and parcels of the smaller fleets, as parts of the largest one's. */
const SMALLER = [
  { stores: 1 / 100, parcels: 1 / 16 },
  { stores: 1 / 10, parcels: 1 / 4 },
];

/** P10: what a fleet costs at several sizes, for docs/growth.md. */
export const growth: Case = {
  name: 'growth',
  says: 'what stores, orders and parcels cost at several sizes: disk, scheduler, runs, vacuum, metrics, archive; writes docs/growth.md',
  onlyByName: true,
  backends: ['redis'],
  sizes: {
    growthParcels: { full: 1_600_000, quick: 16_000, says: 'parcels of the largest fleet' },
    growthStores: { full: 10_000, quick: 200, says: 'its stores' },
    growthOrders: { full: 4_000, quick: 100, says: 'orders that are read, and AWB numbers that are sent' },
    polled: { full: 36_000, quick: 1_000, says: 'parcels of a round of polls: 36,000 at most, as of a run' },
    scheduled: { full: 60, quick: 4, says: 'seconds of the scheduler at each number of stores' },
    queued: { full: 20_000, quick: 1_000, says: 'jobs of each kind' },
  },
  async run(context): Promise<Measured[]> {
    const { size, stage } = context;
    const [stores, parcels, seconds] = [size('growthStores'), size('growthParcels'), size('scheduled')];
    const measured: Measured[] = [];
    const step = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
      const at = performance.now();
      const result = await work();
      console.error(`  ${name}: ${Math.round((performance.now() - at) / 1_000)} s`);
      return result;
    };
    const add = async (name: string, work: () => Promise<Measured | Measured[]>) =>
      measured.push(...[await step(name, work)].flat());

    await add('flows', () => flows(context, { orders: size('growthOrders'), parcels: size('polled') }));
    await add('jobs', () => jobs(context, size('queued')));
    const fleets = context.quick ? [stores] : [1, Math.ceil(stores / 10), stores];
    await add('scheduler', () => scheduler(context, fleets, seconds));

    const trades: Trade[] = [];
    const { result, others } = await stage.measure(async () => {
      for (const part of [...SMALLER, { stores: 1, parcels: 1 }])
        trades.push(
          await step(`filled ${part.parcels}`, () =>
            openTrade(
              context,
              {
                stores: Math.ceil(stores * part.stores),
                parcels: Math.ceil(parcels * part.parcels),
                open: part.parcels === 1 ? OPEN.largest : OPEN.others,
              },
              TRACKERS_ON,
            ),
          ),
        );
      return trades.at(-1) as Trade;
    });
    await add('disk', () => disk(trades, others));
    await add('reads', () => reads(context, trades));
    await add('choose', () => choose(context, trades));
    await add('archive', () => archive(context, trades[1] as Trade));
    await add('standing', () => standing(context, result, seconds));
    for (const { close } of trades) await close();
    return measured;
  },
};
