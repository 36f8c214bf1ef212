import {
  accessSync,
  constants,
  createReadStream,
  createWriteStream,
  statSync,
  type WriteStream,
} from 'node:fs';
import { finished } from 'node:stream/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import logUpdate from 'log-update';
import { UserError } from '../lib/errors.ts';
import { plural } from '../lib/plural.ts';
import {
  COLUMNS,
  DATE_ORDERS,
  type DateOrder,
  type Imported,
  importParcels,
  type RefusedLine,
  timesOfZone,
} from '../tracking/import/index.ts';
import { type JsonOption, withFleet } from './context.ts';
import { green, print, red, table, yellow } from './output.ts';

/** Rejected lines on screen; all of them with --json or --refused. */
const SHOWN = 20;
/** Without a terminal a progress line is written at most this often. */
const LINE_EVERY_MS = 5_000;

interface ImportOptions extends JsonOption {
  refused?: string;
  zone?: string;
  dates?: DateOrder;
}

const zone = (text: string) => {
  if (!timesOfZone(text))
    throw new InvalidArgumentError(
      'expected an IANA name like Europe/Bucharest, an offset like +05:30, or Z.',
    );
  return text;
};

/** A file or standard input, with the bytes read so far. */
function open(file: string) {
  const read = { bytes: 0, size: 0 };
  let again: (() => AsyncIterable<Buffer>) | undefined;
  if (file !== '-') {
    const stat = statSync(file, { throwIfNoEntry: false });
    if (!stat) throw new UserError(`File not found: ${file}`);
    if (stat.isDirectory()) throw new UserError(`${file} is a directory`);
    try {
      accessSync(file, constants.R_OK);
    } catch (error) {
      throw new UserError(`Cannot read ${file}: ${(error as NodeJS.ErrnoException).code}`);
    }
    read.size = stat.size;
    if (stat.isFile()) again = () => createReadStream(file); // a named pipe can be read only once
  } else if (process.stdin.isTTY) console.error('Reading from the terminal. Press Ctrl-D to finish.');
  const stream = file === '-' ? process.stdin : createReadStream(file);
  return {
    read,
    again,
    bytes: (async function* () {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        read.bytes += chunk.length;
        yield chunk;
      }
    })(),
  };
}

/** @throws UserError: opening it for writing would empty it before it is read */
function notTheSame(file: string, refused: string): void {
  if (file === '-') return;
  const [from, to] = [statSync(file), statSync(refused, { throwIfNoEntry: false })];
  if (to && from.dev === to.dev && from.ino === to.ino)
    throw new UserError(`${refused} is the file being imported: choose another one for --refused`);
}

/** Rejected lines as a file to fix and import again: the import ignores its columns for line and reason. */
async function openRefused(path: string) {
  const stream: WriteStream = createWriteStream(path);
  await new Promise<void>((resolve, reject) => {
    stream.once('open', () => resolve());
    stream.once('error', (error: NodeJS.ErrnoException) =>
      reject(new UserError(`Cannot write ${path}: ${error.code ?? error.message}`)),
    );
  });
  const write = (cells: readonly (string | number)[]) => stream.write(`${cells.map(quoted).join(',')}\n`);
  write(['line', 'reason', ...COLUMNS]);
  return {
    async write({ line, reason, values }: RefusedLine) {
      const more = write([line, reason, ...COLUMNS.map((column) => values[column] ?? '')]);
      if (!more) await new Promise<void>((resolve) => stream.once('drain', () => resolve()));
    },
    async close() {
      stream.end();
      await finished(stream);
    },
  };
}

const quoted = (cell: string | number) =>
  /[",\r\n]/.test(String(cell)) ? `"${String(cell).replaceAll('"', '""')}"` : String(cell);

const count = (number: number) => number.toLocaleString('en');

const progressLine = ({ lines, imported, known, refused }: Imported, part: string) =>
  `${plural(lines, 'line')}${part}: ${count(imported)} new, ${count(known)} already known, ${count(refused)} refused`;

/** Shows progress: in place on a terminal, else as occasional lines; none with --json. */
function progress({ json }: JsonOption, read: { bytes: number; size: number }) {
  let last = Date.now();
  return (soFar: Imported) => {
    if (json) return;
    const part = read.size > 0 ? ` (${Math.round((read.bytes / read.size) * 100)} %)` : '';
    if (process.stdout.isTTY) logUpdate(progressLine(soFar, part));
    else if (Date.now() - last >= LINE_EVERY_MS) {
      process.stdout.write(`${progressLine(soFar, part)}\n`);
      last = Date.now();
    }
  };
}

function report(result: Imported, refused: readonly RefusedLine[], path: string | undefined): string {
  const followed = Object.entries(result.followed).filter(([tracker]) => tracker !== 'none');
  const nobody = result.followed.none ?? 0;
  return [
    ...(refused.length > 0
      ? [
          table(
            ['line', 'reason'],
            refused.map(({ line, reason }) => [line, reason]),
          ),
          ...(result.refused > refused.length && !path
            ? [`… and ${count(result.refused - refused.length)} more: use --refused PATH to save all of them`]
            : []),
          ...(path ? [`All refused lines, to be fixed and imported again: ${path}`] : []),
          '',
        ]
      : []),
    ...(result.ignored.length > 0 ? [`Columns ignored: ${result.ignored.join(', ')}`] : []),
    `${(result.refused > 0 ? red : green)(progressLine(result, ''))}${result.orders > 0 ? `; ${plural(result.orders, 'order')} created` : ''}`,
    ...(followed.length > 0
      ? [`Now tracked: ${followed.map(([tracker, parcels]) => `${tracker} ${count(parcels)}`).join(' · ')}`]
      : []),
    ...(nobody > 0
      ? [
          yellow(
            `${count(nobody)} ${nobody === 1 ? 'is' : 'are'} not tracked. To see why: orderfleet explain AWB`,
          ),
        ]
      : []),
  ].join('\n');
}

async function run(file: string, options: ImportOptions): Promise<void> {
  await withFleet(async (fleet) => {
    const { bytes, read, again } = open(file);
    if (options.refused) notTheSame(file, options.refused);
    const sink = options.refused ? await openRefused(options.refused) : undefined;
    const refused: RefusedLine[] = [];
    const startedAt = performance.now();
    let result: Imported;
    try {
      result = await importParcels(fleet, bytes, {
        name: file,
        ...(options.zone && { zone: options.zone }),
        dates: options.dates,
        again,
        async onRefused(line) {
          if (options.json || refused.length < SHOWN) refused.push(line);
          await sink?.write(line);
        },
        onProgress: progress(options, read),
      });
    } finally {
      if (process.stdout.isTTY && !options.json) logUpdate.clear();
      await sink?.close();
    }
    const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
    const reasons = refused.map(({ line, reason }) => ({ line, reason }));
    print(options, { file, ...result, refused: result.refused, refusedLines: reasons, seconds }, () =>
      report(result, refused, options.refused),
    );
    if (result.refused > 0) process.exitCode = 1;
  });
}

const importFile = () =>
  new Command('import')
    .description('import parcels from CSV or NDJSON; exits 1 when lines were refused')
    .argument('<file>', 'the file; - is standard input')
    .option('--refused <path>', 'write refused lines with their reasons to this CSV file')
    .option('--zone <zone>', 'zone of times without one: Europe/Bucharest, +02:00, Z; default: India’s', zone)
    .addOption(
      new Option(
        '--dates <order>',
        'order of dates like 03/04/2026; default: detected from the file',
      ).choices(DATE_ORDERS),
    )
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Columns, in any order, under these or similar names (AWB Number, awbNumber, awb); others are ignored:
  source                source of the order: shopify, woocommerce, Outbound, other, Retailer, temu, or another
  marketplace_order_id  the order’s number there
  booking_courier       as booked: "Delhivery Surface"; it decides which tracker follows the parcel
  booked_at             2026-03-31T18:05:00+05:30, 2026/03/31 18:05, 31-Mar-2026 6:05 PM, Excel’s 46112.7535, or Unix time;
                        without a zone: a time of --zone
  awb_number, lr_number one or both
  carrier, status, order_status   optional: the carrier sent to Temu, one of our statuses, a code of order_statuses
The first line of a CSV file has the column names. Commas, semicolons, tabs, bars, Excel’s line sep=; and any line end are
supported. The file must be UTF-8.

Dates like 31/03/2026 or 03-31-26 are read in the order that fits every line and that at least one line proves. If lines
contradict each other, or none proves it, nothing is imported: set --dates dmy, mdy or ymd. Standard input can be read only
once, so such lines are refused there without --dates.

With an IANA name as --zone, clock changes count as that zone’s rules say. When clocks are put back, an hour comes twice: a
time in it is read as its first pass. When they are put forward, an hour is missing: a time in it is moved forward by that
hour (03:30 is read as 04:30). Write the offset into the time where that matters.

Numbers: a placeholder (NA, null, -, 0 …) next to a real number counts as empty. Numbers that a spreadsheet rounded or
turned into decimals (1.23457E+12, 1234567890123.0) are refused: format the column as text and export again. '0123 and
="0123" are read as 0123.

Missing orders are created, except Temu orders: those come from sync. AWBs of unshipped Temu orders are sent to Temu.
Parcels that are already known stay unchanged: importing the same file twice changes nothing.

Examples:
  orderfleet shipments import parcels.csv --refused refused.csv
  orderfleet shipments import parcels.csv --zone Europe/Bucharest --dates dmy
  psql -c "copy (select …) to stdout csv header" | orderfleet shipments import -`,
    )
    .action(run);

export const shipmentsCommand = () =>
  new Command('shipments')
    .addCommand(importFile())
    .addHelpText('after', '\nExample:\n  orderfleet shipments import parcels.csv --refused refused.csv');
