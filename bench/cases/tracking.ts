import type { Measured } from '../../docs/performance.ts';
import { BOTH, type Case, type Context } from '../support/case.ts';
import { type Child, startProgram } from '../support/child.ts';
import {
  type Courier,
  checkAnswers,
  FIRST,
  type RoundKind,
  startCourier,
  startTrackingFleet,
  type TrackingFleet,
} from '../support/parcels.ts';
import { connect, saveTables, setBack, tidy } from '../support/tables.ts';
import { type Contender, type Figures, type Measure, medianOf, takeTurns } from '../support/turns.ts';
import type { TrackingMessage } from '../yardsticks/tracking.ts';

const KINDS: readonly RoundKind[] = ['changed', 'unchanged'];
const BARE = 'bare loop';
const OLD = 'old design';

/** P5 (and P2): a round of parcels without a limit. */
export const tracking: Case = {
  name: 'tracking',
  says: 'a round of parcels without a limit, beside a bare loop and the old design',
  backends: BOTH,
  sizes: { parcels: { full: 36_000, quick: 1_000, says: 'parcels of a round' } },
  async run(context) {
    const { stage, ours, theirs, backend } = context;
    const parcels = context.size('parcels');
    const courier = await startCourier(stage);
    const loops = await startYardsticks(context, courier, parcels);
    const builds = theirs ? [ours, theirs] : [ours];
    const fleets: TrackingFleet[] = [];
    for (const build of builds)
      fleets.push(await startTrackingFleet({ stage, backend, courier, parcels }, build, 'off'));
    const contenders = [
      ...fleets.map((fleet, no) => contenderOf(builds[no]?.name ?? '', fleet, parcels)),
      ...loops.contenders,
    ];
    const { rows, discarded } = await takeTurns(stage, contenders, { ...context, warm: true });
    for (const { stop } of [...fleets, loops]) await stop();
    await courier.stop();

    const speed = (name: string, kind: RoundKind = 'changed') => medianOf(rows, `${name}, ${kind}`, SPEED);
    const cpu = (name: string) => medianOf(rows, `${name}, changed`, CPU);
    const round = (kind: RoundKind) => medianOf(rows, `${ours.name}, ${kind}`, 'seconds');
    const measured: Measured = {
      what: 'P5: a round of parcels without a limit, in which every status changes, and the next, in which none does (P2)',
      size: `${parcels.toLocaleString('en')} parcels, 50 to an answer, six scans each`,
      rows,
      ratios: [
        { says: 'fleet ÷ bare loop', value: speed(ours.name) / speed(BARE), goal: { atLeast: 0.5 } },
        { says: 'fleet ÷ old design', value: speed(ours.name) / speed(OLD), goal: { atLeast: 3 } },
        {
          says: 'a round without a change ÷ one in which everything changes',
          value: round('unchanged') / round('changed'),
          goal: { below: 1 / 3 },
        },
        { says: 'the fleet’s own CPU ÷ the bare loop’s', value: cpu(ours.name) / cpu(BARE) },
        ...(theirs
          ? [
              {
                says: `fleet ÷ build ${theirs.commit}`,
                value: speed(ours.name) / speed(theirs.name),
                goal: { atLeast: 5 },
              },
              {
                says: `fleet ÷ build ${theirs.commit}, without a change`,
                value: speed(ours.name, 'unchanged') / speed(theirs.name, 'unchanged'),
              },
              { says: `the fleet’s own CPU ÷ that build’s`, value: cpu(ours.name) / cpu(theirs.name) },
            ]
          : []),
      ],
      discarded,
      checked: `the courier answered for every parcel once, every row has its status and its time, the history one line for each change, and the run's own counts say the same`,
    };
    return [measured];
  },
};

const SPEED = 'parcels a second';
const CPU = 'own CPU, s';

const figures = (parcels: number, ms: number, cpu: Record<string, number>, own: string): Figures => ({
  [SPEED]: parcels / (ms / 1000),
  seconds: ms / 1000,
  [CPU]: cpu[own] ?? 0,
  'Postgres’ CPU, s': cpu.postgres ?? 0,
  'courier’s CPU, s': cpu.courier ?? 0,
});

const contenderOf = (name: string, fleet: TrackingFleet, parcels: number): Contender => ({
  name,
  async turn(measure) {
    await fleet.setBack();
    const parts: Record<string, Figures> = {};
    for (const kind of KINDS) {
      const { result, cpu } = await measure(() => fleet.round());
      await fleet.check(kind);
      parts[kind] = {
        ...figures(parcels, result, cpu, `${name} worker`),
        'scheduler’s CPU, s': cpu[`${name} scheduler`] ?? 0,
      };
    }
    return parts;
  },
});

/** The bare loop and the old design, a process each, with tables of their own. */
async function startYardsticks({ stage, backend }: Context, courier: Courier, parcels: number) {
  const start = async (name: string, kind: 'bare' | 'old') => {
    const databaseUrl = await stage.database(`${kind}_${backend}`);
    const child = await startProgram('yardsticks/tracking.ts');
    stage.watch(name, child.cpu);
    const send = <T>(message: TrackingMessage) => child.ask<T>(message);
    await send({ do: 'prepare', courier: courier.url, databaseUrl, parcels, first: FIRST });
    const sql = connect(databaseUrl);
    await saveTables(sql);
    const check = async () => {
      await checkAnswers(courier, parcels);
      const [found] = await sql<{ moving: number; lines: number }[]>`
        select count(*) filter (where status = 'in_transit' and asked_at is not null)::int as moving,
          (select count(*) from history)::int as lines from parcels`;
      if (found?.moving !== parcels || found.lines !== parcels)
        throw new Error(`${name}: ${JSON.stringify(found)} of ${parcels} parcels`);
    };
    const turn = async (measure: Measure) => {
      await setBack(sql);
      const parts: Record<string, Figures> = {};
      for (const part of KINDS) {
        await tidy(sql);
        await courier.forget();
        const { result, cpu } = await measure(() => send<{ ms: number }>({ do: kind }));
        await check();
        parts[part] = figures(parcels, result.ms, cpu, name);
      }
      return parts;
    };
    return { child, sql, contender: { name, turn } satisfies Contender };
  };
  const both = [await start(BARE, 'bare'), await start(OLD, 'old')];
  return {
    contenders: both.map(({ contender }) => contender),
    async stop() {
      for (const { child, sql } of both as { child: Child; sql: ReturnType<typeof connect> }[]) {
        await child.stop();
        await sql.end();
      }
    },
  };
}
