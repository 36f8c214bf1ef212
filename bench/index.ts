import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { GROWTH_PAGE, growthPage } from '../docs/growth/page.ts';
import { type Result, saveResults } from '../docs/performance.ts';
import { awb } from './cases/awb.ts';
import { growth } from './cases/growth.ts';
import { limited } from './cases/limited.ts';
import { limiter } from './cases/limiter.ts';
import { orders } from './cases/orders.ts';
import { pages } from './cases/pages.ts';
import { processes } from './cases/processes.ts';
import { select } from './cases/select.ts';
import { tracking } from './cases/tracking.ts';
import { buildOf, thisBuild } from './support/builds.ts';
import type { Case } from './support/case.ts';
import { endChildren } from './support/child.ts';
import { thisMachine } from './support/machine.ts';
import { type Backend, openStage } from './support/stage.ts';
import { rounded } from './support/turns.ts';

// Section P of docs/rules.md: `npm run bench`, `npm run bench -- --help`.

const CASES: readonly Case[] = [tracking, limited, awb, orders, processes, select, pages, limiter, growth];

const sizes = CASES.flatMap((one) => Object.keys(one.sizes));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string' },
    backend: { type: 'string' },
    against: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    ...Object.fromEntries(sizes.map((name) => [name, { type: 'string' as const }])),
  },
});
const given = (name: string): string | undefined => {
  const value = (values as Record<string, unknown>)[name];
  return typeof value === 'string' ? value : undefined;
};

const help =
  () => `npm run bench -- [CASE …] [--runs 3] [--backend redis|postgres] [--against COMMIT] [--quick]

Prints one line of JSON a case and backend, and writes docs/performance.md from all that were measured so far.

${CASES.map(({ name, says, onlyByName, sizes }) =>
  [
    `  ${name.padEnd(10)} ${says}${onlyByName ? ' (only when named)' : ''}`,
    ...Object.entries(sizes).map(([size, { full, says }]) => `${' '.repeat(13)}--${size} ${full}: ${says}`),
  ].join('\n'),
).join('\n')}

  --runs     turns that count; there is one more before them
  --backend  where the queues are; default: both
  --against  an older build of this repository, which does the same in turns
  --quick    small sizes, to see that everything works; the page is not written

Nothing else should run on the machine: turns in which other programs use more than a tenth of it are discarded.`;

if (values.help) {
  console.log(help());
  process.exit(0);
}
const unknown = positionals.filter((name) => !CASES.some((one) => one.name === name));
if (unknown.length > 0) {
  console.error(`There is no case ${unknown.join(', ')}: npm run bench -- --help`);
  process.exit(2);
}
const chosen = CASES.filter(({ name, onlyByName }) =>
  positionals.length > 0 ? positionals.includes(name) : !onlyByName,
);
const number = (name: string, text: string): number => {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  console.error(`--${name} is "${text}"; expected a number`);
  process.exit(2);
};

const quick = values.quick === true;
const runs = number('runs', given('runs') ?? (quick ? '1' : '3'));
const stage = await openStage();
const close = async () => {
  await endChildren();
  await stage.close();
};
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void close().finally(() => process.exit(1)));
try {
  const ours = await thisBuild();
  const theirs = values.against === undefined ? undefined : await buildOf(values.against);
  for (const one of chosen)
    for (const backend of one.backends.filter((name) => !values.backend || name === values.backend)) {
      console.error(`${one.name}, queues on ${backend}`);
      const size = (name: string) => {
        const [text, usual] = [given(name), one.sizes[name]];
        if (text !== undefined) return number(name, text);
        return (quick ? usual?.quick : usual?.full) ?? Number.NaN;
      };
      const measured = await one.run({ stage, backend: backend as Backend, runs, quick, ours, theirs, size });
      for (const its of measured) {
        const result: Result = {
          case: one.name,
          backend,
          ...its,
          ratios: its.ratios.map((ratio) => ({ ...ratio, value: rounded(ratio.value) })),
          on: new Date().toISOString().slice(0, 10),
          commit: ours.commit,
          machine: thisMachine(),
          versions: { node: process.version, ...stage.settings },
        };
        console.log(JSON.stringify(result));
        if (!quick) saveResults([result]);
      }
      if (!quick) writeFileSync(GROWTH_PAGE, growthPage());
    }
  if (quick) console.error('Small sizes: docs/performance.md is left as it is.');
} finally {
  await close();
}
process.exit();
