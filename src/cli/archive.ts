import { Command, InvalidArgumentError } from 'commander';
import { loadConfig } from '../config/index.ts';
import { UserError } from '../lib/errors.ts';
import { plural } from '../lib/plural.ts';
import { archive, FEWEST_MONTHS, planArchive } from '../ops/archive/index.ts';
import type { JsonOption } from './context.ts';
import { print, table } from './output.ts';

interface ArchiveOptions extends JsonOption {
  before?: Date;
  to?: string;
  dryRun?: boolean;
}

const month = (text: string): Date => {
  const start = new Date(`${text}-01T00:00:00Z`);
  if (!/^\d{4}-\d{2}$/.test(text) || Number.isNaN(start.getTime()))
    throw new InvalidArgumentError('expected a month: 2026-11.');
  return start;
};

/** The beginning of the month that is so many months before this one. */
function monthsAgo(months: number): Date {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - months));
}

const named = (time: Date) => time.toISOString().slice(0, 7);

export const archiveCommand = () =>
  new Command('archive')
    .option('--before <month>', 'what is older than this month; default: ARCHIVE_MONTHS ago', month)
    .option('--to <directory>', 'the archive: one that does not exist yet, or that of earlier months')
    .option('--dry-run', 'only show what would be archived')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Writes history (by the month it was recorded in) and orders that ended (by the month they were stored in), with their
parcels, pushes, items, AWB events and inbox rows, into compressed CSV files and deletes them from the database. Buyers'
data is left out. Orders with anything open, in flight or waiting for you stay. It can be stopped and run again with the
same directory; back the directory up. Requires the role that runs migrate (docs/runbook.md, The archive).

Examples:
  orderfleet archive --dry-run
  DATABASE_URL=postgres://orderfleet_owner@db/orderfleet orderfleet archive --before 2025-01 --to /var/archive/orderfleet`,
    )
    .action(async (options: ArchiveOptions) => {
      const { DATABASE_URL, ARCHIVE_MONTHS } = loadConfig();
      const before = options.before ?? monthsAgo(ARCHIVE_MONTHS);
      const latest = monthsAgo(FEWEST_MONTHS);
      if (before > latest)
        throw new UserError(
          `--before ${named(before)} is too late: an order may still change for months. The latest is ${named(latest)}.`,
        );
      if (options.dryRun) {
        const plan = await planArchive(DATABASE_URL, before);
        print(options, { before: named(before), plan }, () =>
          plan.length === 0
            ? `Nothing to archive before ${named(before)}.`
            : table(
                ['table', 'month', 'rows'],
                plan.map(({ table, month, rows }) => [table, month, rows.toLocaleString('en')]),
              ),
        );
        return;
      }
      if (options.to === undefined)
        throw new UserError(
          'Give the directory of the archive: --to DIRECTORY. To see what there is: --dry-run',
        );
      const done = await archive(DATABASE_URL, {
        before,
        to: options.to,
        onFile: ({ file, rows, bytes }) =>
          console.error(`${file}: ${plural(rows, 'row')}, ${plural(bytes, 'byte')}`),
      });
      print(options, { before: named(before), ...done }, () =>
        done.files.length + done.partitions.length === 0
          ? `Nothing to archive before ${named(before)}.`
          : `Archived ${plural(done.files.length, 'file')} in ${options.to}: ${plural(done.partitions.length, 'partition')} of history and ${plural(done.orders, 'order')} are no longer in the database.`,
      );
    });
