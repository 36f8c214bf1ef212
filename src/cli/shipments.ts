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
import { UserError } from '../errors.ts';
import {
  COLUMNS,
  DATE_ORDERS,
  type DateOrder,
  type Imported,
  importParcels,
  type RefusedLine,
  USUAL_ZONE,
} from '../tracking/import/index.ts';
import { type JsonOption, withFleet } from './context.ts';
import { green, print, red, table, yellow } from './output.ts';

/** Refused lines on screen; all of them with --json or --refused. */
const SHOWN = 20;
/** Without a terminal a line of progress is written at most this often. */
const LINE_EVERY_MS = 5_000;

interface ImportOptions extends JsonOption {
  refused?: string;
  zone: string;
  dates?: DateOrder;
}

const zone = (text: string) => {
  if (!/^(z|[+-]\d\d:\d\d)$/i.test(text)) throw new InvalidArgumentError('an offset like +05:30, or Z.');
  return text;
};

/** A file or standard input, with what has been read of it. */
function open(file: string) {
  const read = { bytes: 0, size: 0 };
  let again: (() => AsyncIterable<Buffer>) | undefined;
  if (file !== '-') {
    const stat = statSync(file, { throwIfNoEntry: false });
    if (!stat) throw new UserError(`There is no file ${file}`);
    if (stat.isDirectory()) throw new UserError(`${file} is a directory`);
    try {
      accessSync(file, constants.R_OK);
    } catch (error) {
      throw new UserError(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
    }
    read.size = stat.size;
    if (stat.isFile()) again = () => createReadStream(file); // a pipe with a name gives what it has once
  } else if (process.stdin.isTTY) console.error('Reading from the terminal; Ctrl-D ends it.');
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

/** @throws UserError: to open it for writing would empty it before it is read */
function notTheSame(file: string, refused: string): void {
  if (file === '-') return;
  const [from, to] = [statSync(file), statSync(refused, { throwIfNoEntry: false })];
  if (to && from.dev === to.dev && from.ino === to.ino)
    throw new UserError(`${refused} is the file that is imported: --refused wants another one`);
}

/** Refused lines as a file that can be mended and imported: its line and reason are columns that an import ignores. */
async function openRefused(path: string) {
  const stream: WriteStream = createWriteStream(path);
  await new Promise<void>((resolve, reject) => {
    stream.once('open', () => resolve());
    stream.once('error', (error: NodeJS.ErrnoException) =>
      reject(new UserError(`${path} cannot be written: ${error.code ?? error.message}`)),
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
  `${count(lines)} lines${part}: ${count(imported)} new, ${count(known)} known already, ${count(refused)} refused`;

/** Shows how far it is: on a terminal in place, else a line now and then; nothing beside --json. */
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
            ['line', 'refused because'],
            refused.map(({ line, reason }) => [line, reason]),
          ),
          ...(result.refused > refused.length && !path
            ? [`… and ${count(result.refused - refused.length)} more: --refused PATH writes all of them`]
            : []),
          ...(path ? [`All refused lines, to be mended and imported: ${path}`] : []),
          '',
        ]
      : []),
    ...(result.ignored.length > 0 ? [`Columns left alone: ${result.ignored.join(', ')}`] : []),
    `${(result.refused > 0 ? red : green)(progressLine(result, ''))}${result.orders > 0 ? `; ${count(result.orders)} orders made` : ''}`,
    ...(followed.length > 0
      ? [
          `Followed from now on: ${followed.map(([tracker, parcels]) => `${tracker} ${count(parcels)}`).join(' · ')}`,
        ]
      : []),
    ...(nobody > 0
      ? [
          yellow(
            `${count(nobody)} ${nobody === 1 ? 'is' : 'are'} followed by no tracker: orderfleet explain AWB says why`,
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
        zone: options.zone,
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
    .description('bring parcels of another program in, from CSV or NDJSON; ends 1 when lines were refused')
    .argument('<file>', 'the file; - is standard input')
    .option('--refused <path>', 'write refused lines with their reasons to this CSV file')
    .option(
      '--zone <offset>',
      'zone of times that name none, e.g. +02:00 or Z; the default is India’s',
      zone,
      USUAL_ZONE,
    )
    .addOption(
      new Option(
        '--dates <order>',
        'order of dates like 03/04/2026; the default is as the lines of the file tell',
      ).choices(DATE_ORDERS),
    )
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Columns, in any order, under these names or their like (AWB Number, awbNumber, awb); others are left alone:
  source                source of the order: shopify, woocommerce, Outbound, other, Retailer, temu, or another
  marketplace_order_id  the order’s number there
  booking_courier       as booked: "Delhivery Surface"; its text decides which tracker follows the parcel
  booked_at             2026-03-31T18:05:00+05:30, 2026/03/31 18:05, 31-Mar-2026 6:05 PM, Excel’s 46112.7535, or Unix time;
                        without a zone it is a time of --zone
  awb_number, lr_number one of them, or both
  carrier, status, order_status   if known: the carrier as Temu is told it, one of our statuses, a code of order_statuses
The first line of a CSV file names them; commas, semicolons, tabs, bars and Excel’s line sep=; are understood, with any
line end. The file is UTF-8.

Dates like 31/03/2026 or 03-31-26 are read in the order that all lines of the file allow and one at least proves. Where
lines contradict each other, or none proves it, nothing is imported until --dates says dmy, mdy or ymd. Standard input is
read once only: there such a line is refused without --dates.

Numbers: a placeholder (NA, null, -, 0 …) beside a real number is taken as empty. What a spreadsheet rounded or turned into
a decimal (1.23457E+12, 1234567890123.0) is refused: format its column as text and export again. '0123 and ="0123" are
0123.

Orders that are missing are made, except Temu’s: those come in by sync, and an AWB of a Temu order that is still to be
shipped is told to Temu. What is known already stays as it is: the same file twice changes nothing.

Examples:
  orderfleet shipments import parcels.csv --refused refused.csv
  psql -c "copy (select …) to stdout csv header" | orderfleet shipments import -`,
    )
    .action(run);

export const shipmentsCommand = () =>
  new Command('shipments')
    .addCommand(importFile())
    .addHelpText('after', '\nExample:\n  orderfleet shipments import parcels.csv --refused refused.csv');
