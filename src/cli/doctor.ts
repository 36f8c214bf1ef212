import { Command } from 'commander';
import { type Examination, type Finding, runDoctor, type Verdict } from '../doctor/index.ts';
import { type JsonOption, withFleet } from './context.ts';
import { bold, dim, green, print, red, yellow } from './output.ts';

const MARKS: Record<Verdict, string> = {
  fault: red('✗'),
  warning: yellow('!'),
  unknown: yellow('?'),
  ok: green('✓'),
};
/** The worst first. */
const ORDER: readonly Verdict[] = ['fault', 'warning', 'unknown', 'ok'];

const line = (check: string, { verdict, says, remedy }: Finding) =>
  `${MARKS[verdict]} ${bold(check)}: ${says}${remedy ? `\n    ${dim('→')} ${remedy}` : ''}`;

/** Every finding by its severity, then one line that sums up. */
function report({ checks }: Examination): string {
  const all = checks.flatMap(({ name, findings }) => findings.map((finding) => ({ name, finding })));
  const of = (verdict: Verdict) => all.filter(({ finding }) => finding.verdict === verdict);
  const lines = ORDER.flatMap(of).map(({ name, finding }) => line(name, finding));
  const [faults, warnings, unknown] = [of('fault').length, of('warning').length, of('unknown').length];
  const sum =
    faults + warnings + unknown === 0
      ? green('All is well.')
      : `${faults} to be mended (✗), ${warnings} to be thought about (!), ${unknown} could not be looked at (?)`;
  return [...lines, '', sum].join('\n');
}

export const doctorCommand = () =>
  new Command('doctor')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Looks at Postgres, Redis, queues and their workers, schedules, clocks, stores and their credentials (one call to Temu
for each active store), sealed secrets, trackers, Slack, mail, webhooks and the dashboard. Changes nothing, and logs in to
no courier.

Exit codes: 0 nothing to be mended · 1 something is to be mended, or could not be looked at · 2 wrong environment

Examples:
  orderfleet doctor
  orderfleet doctor --json | jq '.checks[].findings[] | select(.verdict == "fault")'`,
    )
    .action((options: JsonOption) =>
      withFleet(async (fleet) => {
        console.warn = () => {}; // BullMQ says of each queue's connection what is said here once, with its remedy
        const examination = await runDoctor(fleet);
        print(options, examination, () => report(examination));
        if (['fault', 'unknown'].includes(examination.verdict)) process.exitCode = 1;
      }),
    );
