import { BOTH, type Case } from '../support/case.ts';
import { type Child, startChild } from '../support/child.ts';
import { openStore, startTemu } from '../support/orders.ts';
import { startCourier, startTrackingFleet } from '../support/parcels.ts';
import { type Contender, type Figures, medianOf, takeTurns } from '../support/turns.ts';

const EMPTY = 'empty process';
/** Node, and nothing to do. */
const NOTHING = `process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1e6); process.send('ready')`;
const ROLES = ['tracking', 'temu', 'awb', 'alerts', 'scheduler', 'web'];
/** A worker that has just started is not idle yet. */
const SETTLE_MS = 1_000;

/** P8: start, stop and memory of each process, and memory after a load. */
export const processes: Case = {
  name: 'processes',
  says: 'start, stop and memory of each process, beside an empty Node process, and memory after a load',
  backends: BOTH,
  sizes: {
    minutes: {
      full: 5,
      quick: 0.1,
      says: 'minutes of full load before memory is read (60: as the rule has it)',
    },
    load: { full: 36_000, quick: 1_000, says: 'parcels of a round of that load' },
  },
  async run(context) {
    const { stage, ours, backend, size } = context;
    const temu = await startTemu(stage, 1);
    const env = await openStore(stage, backend, temu, ours, 'processes', 5_000);
    const started = async (start: () => Promise<Child>): Promise<Record<string, Figures>> => {
      const child = await start();
      const cpu = child.cpu();
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      const figures = {
        'start, ms': child.startedInMs,
        'start, s of CPU': cpu,
        'idle, MB': child.memoryMb(),
      };
      return { '': { ...figures, 'stop, ms': await child.stop() } };
    };
    const contenders: Contender[] = [
      {
        name: EMPTY,
        turn: async (measure) => (await measure(() => started(() => startChild(['-e', NOTHING])))).result,
      },
      ...ROLES.map(
        (role): Contender => ({
          name: role,
          turn: async (measure) =>
            (await measure(() => started(() => ours.start(role, { ...env, PORT: '0' })))).result,
        }),
      ),
    ];
    const { rows, discarded } = await takeTurns(stage, contenders, context);
    await temu.stop();

    const courier = await startCourier(stage);
    const parcels = size('load');
    const fleet = await startTrackingFleet({ stage, backend, courier, parcels }, ours, 'off');
    const until = Date.now() + size('minutes') * 60_000;
    let [rounds, most] = [0, 0];
    while (Date.now() < until || rounds === 0) {
      await fleet.setBack();
      await fleet.round();
      most = Math.max(most, fleet.worker.memoryMb());
      rounds++;
    }
    const after = fleet.worker.memoryMb();
    await fleet.stop();
    await courier.stop();

    const slowest = (figure: string) => Math.max(...ROLES.map((role) => medianOf(rows, role, figure)));
    return [
      {
        what: 'P8: start until ready, memory when idle, stop when idle, of each process as built',
        size: `a database with one store; the load: ${rounds} rounds of ${parcels.toLocaleString('en')} parcels in ${size('minutes')} minutes`,
        rows,
        ratios: [
          { says: 'slowest start, ms', value: slowest('start, ms'), goal: { below: 700 } },
          { says: 'slowest stop, ms', value: slowest('stop, ms'), goal: { below: 200 } },
          {
            says: 'slowest start ÷ an empty process’s',
            value: slowest('start, ms') / medianOf(rows, EMPTY, 'start, ms'),
          },
          { says: 'the tracking worker after the load, MB', value: after, goal: { below: 120 } },
          { says: 'the tracking worker at its largest, MB', value: most },
        ],
        discarded,
        checked: 'every process said that it was ready, and ended by itself after SIGTERM',
      },
    ];
  },
};
