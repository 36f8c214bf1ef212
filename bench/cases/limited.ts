import { BOTH, type Case } from '../support/case.ts';
import { startCourier, startTrackingFleet } from '../support/parcels.ts';
import { medianOf, takeTurns } from '../support/turns.ts';

const BATCH = 50;
/** The limit of the courier's file in src/, and what the courier itself allows in five minutes. */
const LIMIT = { max: 7, seconds: 3 };
const ALLOWED = { max: 750, seconds: 300 };

/** P1: a round at the courier's limit. Its yardstick is the time that the limit dictates. */
export const limited: Case = {
  name: 'limited',
  says: 'a round of parcels at the courier’s limit, beside the time that the limit dictates',
  backends: BOTH,
  sizes: {
    parcels: { full: 36_000, quick: 2_500, says: 'parcels of a round' },
    faster: {
      full: 10,
      quick: 60,
      says: 'the limit’s seconds, divided by this (1: as in reality, 5 minutes a round)',
    },
  },
  async run(context) {
    const { stage, ours, backend, size } = context;
    const parcels = size('parcels');
    const [max, seconds] = [LIMIT.max, LIMIT.seconds / size('faster')];
    const dictated = (Math.ceil(parcels / BATCH / max) - 1) * seconds;
    const courier = await startCourier(stage);
    await courier.limit({ max: ALLOWED.max, seconds: ALLOWED.seconds / size('faster') });
    const fleet = await startTrackingFleet({ stage, backend, courier, parcels }, ours, `${max}/${seconds}`);
    const { rows, discarded } = await takeTurns(
      stage,
      [
        {
          name: ours.name,
          async turn(measure) {
            await fleet.setBack();
            const { result, cpu } = await measure(() => fleet.round());
            const { refused } = await courier.counts();
            if (refused === 0) await fleet.check('changed');
            return {
              '': {
                seconds: result / 1000,
                'dictated, s': dictated,
                'refused requests': refused,
                'own CPU, s': cpu[`${ours.name} worker`] ?? 0,
              },
            };
          },
        },
      ],
      context,
    );
    await fleet.stop();
    await courier.stop();
    return [
      {
        what: 'P1: a round of parcels at the courier’s limit, against the time that the limit dictates',
        size: `${parcels.toLocaleString('en')} parcels, ${max} requests in ${seconds} s; the courier refuses more than ${ALLOWED.max} in any ${ALLOWED.seconds / size('faster')} s`,
        rows,
        ratios: [
          {
            says: 'taken ÷ dictated',
            value: medianOf(rows, ours.name, 'seconds') / dictated,
            goal: { atMost: 1.02 },
          },
          {
            says: 'refused requests',
            value: medianOf(rows, ours.name, 'refused requests'),
            goal: { atMost: 0 },
          },
        ],
        discarded,
        checked: 'as in the round without a limit',
      },
    ];
  },
};
