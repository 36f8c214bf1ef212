import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** docs/performance.md: what `npm run bench` has measured, as kept in docs/performance.json. */

export interface Figure {
  median: number;
  min: number;
  max: number;
}

/** One contender, or one part of what it did. */
export interface Row {
  name: string;
  runs: number;
  figures: Record<string, Figure>;
}

export interface Ratio {
  says: string;
  value: number;
  /** What docs/rules.md asks for. */
  goal?: { atLeast: number } | { atMost: number } | { below: number };
}

export interface Measured {
  /** With its rule. */
  what: string;
  size: string;
  rows: Row[];
  ratios: Ratio[];
  /** Turns that do not count, with the reason. */
  discarded: string[];
  /** What must be true after each turn. */
  checked: string;
}

export interface Result extends Measured {
  case: string;
  backend: string;
  /** Date. */
  on: string;
  commit: string;
  machine: { cores: number; processor: string; memoryGb: number; system: string };
  versions: Record<string, string>;
}

export const PERFORMANCE_PAGE = 'docs/performance.md';
const RESULTS = path.join(import.meta.dirname, 'performance.json');

export const readResults = (): Result[] =>
  existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : [];

const keyOf = ({ case: name, backend, what }: Result) => `${name} ${backend} ${what}`;

/** Each result replaces the former one of its kind; the page is written anew. */
export function saveResults(results: readonly Result[]): void {
  const all = new Map([...readResults(), ...results].map((result) => [keyOf(result), result]));
  writeFileSync(RESULTS, `${JSON.stringify([...all.values()], null, 1)}\n`);
  writeFileSync(PERFORMANCE_PAGE, performancePage());
}

const HEAD = `<!-- made by \`npm run bench\` from what it measured, and by \`npm run docs\` from docs/performance.json -->

# Performance

What \`npm run bench\` measured last. The goals are in [rules.md](rules.md), section P; \`npm run bench -- --help\` lists the cases and their sizes.

## How it is measured

- Each case runs beside an independent yardstick: a bare loop that makes the same requests, reads the same answers and writes to tables of its own, without a queue; for parcels also the old design (batches of 50, fifty parcels in work, an UPDATE and a history INSERT each). None of them has code or statements of the fleet's.
- All contenders work in turns, in one run, on the same Postgres and against the same stand-in of the API, which is a process of its own. Who begins changes from round to round. Before each turn all tables are set back to the same copy, vacuumed and analyzed, and a checkpoint is made.
- The fleet is driven from outside: its built processes (\`dist/\`), its commands, and SQL. An older build (\`--against COMMIT\`) likewise, with the packages of its own lock file and its own database and queues.
- The first turn of each contender warms it up and is discarded; for parcels each turn comes right after the same one uncounted, since processes that wait for minutes lose compiled code that they would keep in reality. So is a turn in which programs that do not belong to the bench used more than a tenth of the machine. Discarded turns are listed below each table.
- After each turn everything is checked: what the stand-in was asked, and what the tables hold. A turn that fails ends the bench.
- Tables show medians, with the smallest and largest value in brackets. CPU is user and system time from \`/proc\`: on a small machine, where Postgres and the stand-in share the cores, it says more than the time taken.

What a fleet of 10,000 stores carries, extrapolated from the case \`growth\`: [growth.md](growth.md).
`;

/** What the case `growth` measured is on a page of its own (docs/growth.md). */
export const isGrowth = (result: Result): boolean => result.case === 'growth';

export function performancePage(results = readResults()): string {
  const shown = results.filter((result) => !isGrowth(result)).map(sectionOf);
  return `${[HEAD, ...(shown.length === 0 ? ['Nothing has been measured yet.'] : shown)].join('\n').trimEnd()}\n`;
}

const NAMES: Record<string, string> = { redis: 'Redis', postgres: 'Postgres' };

/** A result with its heading, machine, tables and checks. */
export function sectionOf(result: Result): string {
  const { what, backend, size, rows, ratios, discarded, checked, machine, versions } = result;
  const { node, server_version: postgres, redis, ...settings } = versions;
  const figures = [...new Set(rows.flatMap((row) => Object.keys(row.figures)))];
  const shown = Object.entries(settings).map(([name, value]) => `\`${name}\` ${value}`);
  return [
    `## ${what}: queues on ${NAMES[backend] ?? backend}`,
    '',
    `${size}. ${result.on}, commit ${result.commit}; ${machine.cores} cores (${machine.processor}), ${machine.memoryGb} GB, ${machine.system}; Node ${node}, Postgres ${postgres} (${shown.join(', ')}), Redis ${redis}.`,
    '',
    ...tableOf(
      ['', 'runs', ...figures],
      rows.map((row) => [
        row.name,
        String(row.runs),
        ...figures.map((figure) => cell(row.figures[figure], row.runs)),
      ]),
    ),
    ...(ratios.length > 0
      ? [
          '',
          ...tableOf(
            ['', 'measured', 'goal'],
            ratios.map((ratio) => [ratio.says, number(ratio.value), goalOf(ratio)]),
          ),
        ]
      : []),
    '',
    `Checked after each turn: ${checked}.`,
    '',
    `Discarded: ${discarded.join('; ') || 'none'}.`,
    '',
  ].join('\n');
}

/** Lines of a Markdown table. */
export const tableOf = (head: readonly string[], rows: readonly (readonly string[])[]): string[] =>
  [head, head.map((_, at) => (at === 0 ? '---' : '---:')), ...rows].map(
    (cells) => `| ${cells.join(' | ')} |`,
  );

const number = (value: number) => value.toLocaleString('en', { maximumFractionDigits: 3 });

const cell = (figure: Figure | undefined, runs: number): string => {
  if (!figure) return '';
  const range = runs > 1 ? ` (${number(figure.min)} – ${number(figure.max)})` : '';
  return `${number(figure.median)}${range}`;
};

function goalOf({ value, goal }: Ratio): string {
  if (!goal) return '';
  const [wanted, reached] =
    'atLeast' in goal
      ? [`at least ${number(goal.atLeast)}`, value >= goal.atLeast]
      : 'atMost' in goal
        ? [`at most ${number(goal.atMost)}`, value <= goal.atMost]
        : [`below ${number(goal.below)}`, value < goal.below];
  return `${wanted}: ${reached ? 'reached' : '**not reached**'}`;
}
