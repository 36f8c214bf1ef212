import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import logUpdate from 'log-update';
import type { Fleet } from '../fleet/index.ts';
import { UserError } from '../lib/errors.ts';
import { plural } from '../lib/plural.ts';
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
import { duration, green, print, red, relative, table, utc, yellow } from './output.ts';

interface TrackOptions extends JsonOption {
  wait?: boolean;
}

interface Turn {
  tracker: Tracker;
  runId: string | undefined;
  /** False: it was already running. */
  started: boolean;
  /** Why no run started. */
  skipped: Skipped | undefined;
}

type Run = Awaited<ReturnType<typeof runOverviews>>[number];

const LOOK_EVERY_MS = 500;
/** Without a terminal a line is written on changes, at most this often. */
const LINE_EVERY_MS = 5_000;

const count = (number: number) => number.toLocaleString('en');

/** Parcels that were checked, successfully or not. */
const asked = ({ updated, unchanged, notFound, mismatched, unmapped, failed }: Run) =>
  updated + unchanged + notFound + mismatched + unmapped + failed;

/** Milliseconds that the rest takes at the rate limit, including a cooldown; undefined without a limit. */
function leftMs({ tracker }: Turn, { open, waitingUntil }: Run): number | undefined {
  const wait = waitingUntil ? waitingUntil.getTime() - Date.now() : 0;
  return tracker.limit
    ? Math.max(0, wait) + (open * tracker.limit.seconds * 1000) / tracker.limit.max
    : undefined;
}

function line(turn: Turn, run: Run): string {
  const left = run.state === 'running' && run.open > 0 ? leftMs(turn, run) : undefined;
  const parts = [
    `${count(asked(run))} of ${plural(run.planned, 'parcel')}`,
    `${count(run.updated)} updated`,
    `${count(run.unchanged)} unchanged`,
    `${count(run.notFound)} not found`,
    ...(run.mismatched > 0 ? [yellow(`${count(run.mismatched)} of another order`)] : []),
    ...(run.unmapped > 0 ? [yellow(`${count(run.unmapped)} with an unmapped status`)] : []),
    run.failed > 0 ? red(`${count(run.failed)} failed`) : '0 failed',
    plural(run.requests, 'request'),
    ...(left === undefined ? [] : [`about ${duration(left)} left at the rate limit`]),
    ...(run.waitingUntil && run.state === 'running'
      ? [yellow(`paused until ${utc(run.waitingUntil)} (${run.waitingReason})`)]
      : []),
  ];
  return `${run.tracker}: ${parts.join(', ')}`;
}

/** Starts a run, or finds the one that is running. */
async function begin(fleet: Fleet, tracker: Tracker): Promise<Turn> {
  const started = await startRun(fleet, tracker);
  return started.is === 'started'
    ? { tracker, runId: started.runId, started: true, skipped: undefined }
    : { tracker, runId: started.runId, started: false, skipped: started };
}

/** Why nothing runs, and what to do about it. */
function remedy({ tracker, skipped }: Turn): string {
  const what = whatToDo(tracker, skipped?.kind);
  return `${tracker.name} was not started: ${skipped?.reason}.\n  ${what[0]?.toUpperCase()}${what.slice(1)}.`;
}

function whatToDo({ off, courier }: Tracker, kind: Skipped['kind'] | undefined): string {
  if (kind === 'off')
    return off === 'noCredentials'
      ? `set ${Object.keys(courier.settings).join(', ')}, and restart the scheduler and the workers`
      : 'add it to TRACKERS, and restart the scheduler and the workers';
  return kind === 'waiting'
    ? 'the next run starts automatically after the pause; trying sooner would make it longer'
    : 'start the scheduler, which sets it up: orderfleet up, or npm run worker -- scheduler';
}

const chosen = (fleet: Fleet, name: string): Tracker[] => {
  if (name.trim().toLowerCase() !== 'all') return [trackerNamed(fleet.trackers, name)];
  const on = fleet.trackers.filter(({ connection }) => connection);
  if (on.length === 0)
    throw new UserError(
      `No tracker is enabled: ${fleet.trackers.map((tracker) => `${tracker.name} (${whyOff(tracker)})`).join(', ')}`,
    );
  return on;
};

async function warnOfMissingWorkers(fleet: Fleet, turns: readonly Turn[]): Promise<void> {
  for (const { tracker } of turns)
    if ((await fleet.queues.workers(queueOf(tracker))) === 0)
      console.error(
        `No worker is running for ${queueOf(tracker).name}: start one with orderfleet up, or npm run worker -- tracking`,
      );
}

/** Polls twice a second until all runs have finished. */
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
    `${line(turn, run)}, in ${took}${run.waits > 0 ? `, including ${duration(run.waitedMs)} of rate-limit pauses` : ''}`,
    ...(run.stoppedReason ? [red(`Stopped: ${run.stoppedReason}`)] : []),
    ...tally(run.errors, 'failure'),
    ...tally(run.words, 'unmapped status (orderfleet words)'),
  ].join('\n');
}

function shortReport(turn: Turn, run: Run | undefined): string {
  if (!run) return remedy(turn);
  if (!turn.started)
    return `${turn.tracker.name}: already running, started ${relative(run.startedAt)}${run.waitingUntil ? `, paused until ${utc(run.waitingUntil)} (${run.waitingReason})` : ''}; use --wait to follow it.`;
  return run.planned === 0
    ? `${turn.tracker.name}: no parcels are due.`
    : `${turn.tracker.name}: started a run of ${plural(run.planned, 'parcel')}. To follow: orderfleet status`;
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
          console.error(`${tracker.name}: already running (${skipped?.reason}); following that run.`);
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
          ? [good ? green('Finished.') : red('Finished with problems: orderfleet status')]
          : []),
      ].join('\n'),
    );
    if (!good) process.exitCode = 1;
  });
}

export const trackCommand = () =>
  new Command('track')
    .argument('<tracker>', 'a tracker, as status shows it, or all for every enabled one')
    .option(
      '--wait',
      'wait and show progress; exits 0 when finished, 1 when parcels failed or the run was stopped',
    )
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
If the tracker is already running, that run is followed. No run starts during a rate-limit pause. Ctrl-C stops the
display, not the run.

Examples:
  orderfleet track delhivery-b2c --wait
  orderfleet track all`,
    )
    .action(track);
