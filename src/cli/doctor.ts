import { Command } from 'commander';
import { type Examination, type Finding, runDoctor, type Verdict } from '../doctor/index.ts';
import { plural } from '../lib/plural.ts';
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

/** Findings by severity, then a summary line. */
function report({ checks }: Examination): string {
  const all = checks.flatMap(({ name, findings }) => findings.map((finding) => ({ name, finding })));
  const of = (verdict: Verdict) => all.filter(({ finding }) => finding.verdict === verdict);
  const lines = ORDER.flatMap(of).map(({ name, finding }) => line(name, finding));
  const [faults, warnings, unknown] = [of('fault').length, of('warning').length, of('unknown').length];
  const sum =
    faults + warnings + unknown === 0
      ? green('No problems found.')
      : `${plural(faults, 'error')}, ${plural(warnings, 'warning')}, ${unknown} skipped`;
  return [...lines, '', sum].join('\n');
}

export const doctorCommand = () =>
  new Command('doctor')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Checks Postgres, Redis, queues and their workers, schedules, clocks, stores and their credentials (one call to Temu for
each active store), encrypted secrets, trackers, Slack, email, webhooks and the dashboard. Changes nothing, and does not
log in to any courier.

Exit codes: 0 no errors · 1 errors found, or a check was skipped · 2 wrong configuration

Examples:
  orderfleet doctor
  orderfleet doctor --json | jq '.checks[].findings[] | select(.verdict == "fault")'`,
    )
    .action((options: JsonOption) =>
      withFleet(async (fleet) => {
        console.warn = () => {}; // BullMQ warns about each queue's connection; doctor reports it once, with its remedy
        const examination = await runDoctor(fleet);
        print(options, examination, () => report(examination));
        if (['fault', 'unknown'].includes(examination.verdict)) process.exitCode = 1;
      }),
    );
