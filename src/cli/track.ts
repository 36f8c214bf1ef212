import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import logUpdate from 'log-update';
import { UserError } from '../errors.ts';
import type { Fleet } from '../fleet.ts';
import {
  queueOf,
  runOverviews,
  type Skipped,
  startRun,
  type Tracker,
  trackerNamed,
  whyOff,
} from '../tracking/index.ts';
import { type JsonOption, withQueues } from './context.ts';
import { duration, green, print, red, relative, table, yellow } from './output.ts';

interface TrackOptions extends JsonOption {
  wait?: boolean;
}

interface Turn {
  tracker: Tracker;
  runId: string | undefined;
  /** False: it was going on already. */
  started: boolean;
  /** Why no run began. */
  skipped: Skipped | undefined;
}

type Run = Awaited<ReturnType<typeof runOverviews>>[number];

const LOOK_EVERY_MS = 500;
/** Without a terminal a line is written when something has changed, at most this often. */
const LINE_EVERY_MS = 5_000;

const count = (number: number) => number.toLocaleString('en');

/** Parcels of which the courier has been asked, or that were given up. */
const asked = ({ updated, unchanged, notFound, mismatched, unmapped, failed }: Run) =>
  updated + unchanged + notFound + mismatched + unmapped + failed;

/** Milliseconds that the limit dictates for what is left, a wait included; undefined without a limit. */
function leftMs({ tracker }: Turn, { open, waitingUntil }: Run): number | undefined {
  const wait = waitingUntil ? waitingUntil.getTime() - Date.now() : 0;
  return tracker.limit
    ? Math.max(0, wait) + (open * tracker.limit.seconds * 1000) / tracker.limit.max
    : undefined;
}

function line(turn: Turn, run: Run): string {
  const left = run.state === 'running' && run.open > 0 ? leftMs(turn, run) : undefined;
  const parts = [
    `${count(asked(run))} of ${count(run.planned)} parcels`,
    `${count(run.updated)} updated`,
    `${count(run.unchanged)} unchanged`,
    `${count(run.notFound)} not found`,
    ...(run.mismatched > 0 ? [yellow(`${count(run.mismatched)} of another order`)] : []),
    ...(run.unmapped > 0 ? [yellow(`${count(run.unmapped)} with an unknown word`)] : []),
    run.failed > 0 ? red(`${count(run.failed)} failed`) : '0 failed',
    `${count(run.requests)} requests`,
    ...(left === undefined ? [] : [`${duration(left)} left by the limit`]),
    ...(run.waitingUntil && run.state === 'running'
      ? [yellow(`waits until ${run.waitingUntil.toISOString()} (${run.waitingReason})`)]
      : []),
  ];
  return `${run.tracker}: ${parts.join(', ')}`;
}

/** Starts a run, or finds the one that goes on. */
async function begin(fleet: Fleet, tracker: Tracker): Promise<Turn> {
  const started = await startRun(fleet, tracker);
  return started.is === 'started'
    ? { tracker, runId: started.runId, started: true, skipped: undefined }
    : { tracker, runId: started.runId, started: false, skipped: started };
}

/** Why nothing runs, and what to do about it. */
function remedy({ tracker, skipped }: Turn): string {
  const what = whatToDo(tracker, skipped?.kind);
  return `${tracker.name} does not run: ${skipped?.reason}.\n  ${what[0]?.toUpperCase()}${what.slice(1)}.`;
}

function whatToDo({ off, courier }: Tracker, kind: Skipped['kind'] | undefined): string {
  if (kind === 'off')
    return off === 'noCredentials'
      ? `set ${Object.keys(courier.settings).join(', ')}, and restart the scheduler and the workers`
      : 'add it to TRACKERS, and restart the scheduler and the workers';
  return kind === 'waiting'
    ? 'its next run begins by itself when the wait is over; asking sooner would make it longer'
    : 'the scheduler sets it up as it starts: orderfleet up, or npm run worker -- scheduler';
}

const chosen = (fleet: Fleet, name: string): Tracker[] => {
  if (name.trim().toLowerCase() !== 'all') return [trackerNamed(fleet.trackers, name)];
  const on = fleet.trackers.filter(({ connection }) => connection);
  if (on.length === 0)
    throw new UserError(
      `No tracker is switched on: ${fleet.trackers.map((tracker) => `${tracker.name} (${whyOff(tracker)})`).join(', ')}`,
    );
  return on;
};

async function warnOfMissingWorkers(fleet: Fleet, turns: readonly Turn[]): Promise<void> {
  for (const { tracker } of turns)
    if ((await fleet.queues.workers(queueOf(tracker))) === 0)
      console.error(
        `No worker takes jobs of ${queueOf(tracker).name}: start one with orderfleet up, or npm run worker -- tracking`,
      );
}

/** Looks twice a second until all runs have ended. */
async function follow(fleet: Fleet, turns: readonly Turn[], { json }: TrackOptions): Promise<Run[]> {
  const ids = turns.flatMap(({ runId }) => runId ?? []);
  let last = '';
  let lastAt = Date.now();
  for (;;) {
    const runs = await runOverviews(fleet.db, ids, fleet.clock());
    const lines = runs.flatMap((run) => {
      const turn = turns.find(({ runId }) => runId === run.id);
      return turn ? [line(turn, run)] : [];
    });
    if (runs.every(({ state }) => state === 'finished')) {
      if (!json && process.stdout.isTTY) logUpdate.clear();
      return runs;
    }
    const text = lines.join('\n');
    if (!json && process.stdout.isTTY) logUpdate(text);
    else if (!json && text !== last && Date.now() - lastAt >= LINE_EVERY_MS) {
      process.stdout.write(`${text}\n`);
      [last, lastAt] = [text, Date.now()];
    }
    await sleep(LOOK_EVERY_MS);
  }
}

function outcome(turn: Turn, run: Run): string {
  const took = duration((run.finishedAt ?? new Date()).getTime() - run.startedAt.getTime());
  const tally = (counts: Record<string, number>, head: string) =>
    Object.keys(counts).length === 0
      ? []
      : [
          table(
            ['parcels', head],
            Object.entries(counts)
              .sort(([, a], [, b]) => b - a)
              .slice(0, 10)
              .map(([what, parcels]) => [parcels, what]),
          ),
        ];
  return [
    `${line(turn, run)}, in ${took}${run.waits > 0 ? ` of which it was told to wait ${duration(run.waitedMs)}` : ''}`,
    ...(run.stoppedReason ? [red(`It was stopped: ${run.stoppedReason}`)] : []),
    ...tally(run.errors, 'failed because'),
    ...tally(run.words, 'unknown word (orderfleet words)'),
  ].join('\n');
}

function shortReport(turn: Turn, run: Run | undefined): string {
  if (!run) return remedy(turn);
  if (!turn.started)
    return `${turn.tracker.name}: a run is going on since ${relative(run.startedAt)}${run.waitingUntil ? ` and waits until ${run.waitingUntil.toISOString()} (${run.waitingReason})` : ''}; --wait follows it.`;
  return run.planned === 0
    ? `${turn.tracker.name}: no parcel is due.`
    : `${turn.tracker.name}: a run of ${count(run.planned)} parcels is started; orderfleet status shows how it goes.`;
}

async function track(name: string, options: TrackOptions): Promise<void> {
  await withQueues(async (fleet) => {
    const turns: Turn[] = [];
    for (const tracker of chosen(fleet, name)) turns.push(await begin(fleet, tracker));
    const going = turns.filter(({ runId }) => runId !== undefined);
    await warnOfMissingWorkers(fleet, going);
    if (options.wait)
      for (const { tracker, started, skipped } of going)
        if (!started)
          console.error(`${tracker.name}: a run is going on already (${skipped?.reason}): this is that one.`);
    const runs = options.wait
      ? await follow(fleet, going, options)
      : await runOverviews(
          fleet.db,
          going.flatMap(({ runId }) => runId ?? []),
          fleet.clock(),
        );
    const runOf = (turn: Turn) => runs.find(({ id }) => id === turn.runId);
    const good = turns.every((turn) => {
      const run = runOf(turn);
      return run && (!options.wait || (run.failed === 0 && !run.stoppedReason));
    });
    const data = turns.map((turn) => {
      const run = runOf(turn);
      return {
        ...{ tracker: turn.tracker.name, started: turn.started, skipped: turn.skipped?.reason ?? null },
        run: run ? { ...run, asked: asked(run) } : null,
      };
    });
    print(options, data, () =>
      [
        ...turns.map((turn) => {
          const run = runOf(turn);
          return options.wait && run ? outcome(turn, run) : shortReport(turn, run);
        }),
        ...(options.wait
          ? [good ? green('All is settled.') : red('Not all is well: orderfleet status')]
          : []),
      ].join('\n'),
    );
    if (!good) process.exitCode = 1;
  });
}

export const trackCommand = () =>
  new Command('track')
    .argument('<tracker>', 'one of the trackers that status shows; or all: those that are switched on')
    .option('--wait', 'show progress; ends 0 when all is settled, 1 when parcels failed or it was stopped')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
A run that goes on already is followed; none begins while a courier has told us to wait. Ctrl-C ends the watching, not
the run.

Examples:
  orderfleet track delhivery-b2c --wait
  orderfleet track all`,
    )
    .action(track);
