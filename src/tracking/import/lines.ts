import { extname } from 'node:path';
import { Readable } from 'node:stream';
import { parse } from 'csv-parse';
import { UserError } from '../../errors.ts';
import { COLUMNS, type Column, columnOf, type Values } from './columns.ts';

/** One line of the file as it came. */
export type Given = { line: number; values: Values } | { line: number; values: Values; refused: string };

export interface Lines {
  format: 'csv' | 'ndjson';
  /** Columns that are not ours; of NDJSON those seen so far. */
  ignored: ReadonlySet<string>;
  lines: AsyncIterable<Given>;
}

/** No parcel takes more; an open quote or a missing line end must not fill the memory. */
const LONGEST_LINE = 256 * 1024;
/** What is looked at to tell the format. */
const HEAD = 64 * 1024;
const IGNORED_MOST = 20;

/**
 * Reads CSV (commas, semicolons, tabs or bars; quotes; a BOM; any line end) or NDJSON, one line after the other: never
 * more than a little of the file is in memory.
 * @param name tells the format where the content does not; may be `-`
 * @throws UserError when it is neither: binary, compressed, UTF-16, empty, or without our columns
 */
export async function readLines(bytes: AsyncIterable<Buffer>, name: string): Promise<Lines> {
  const { head, all } = await peek(bytes);
  mustBeText(head);
  const text = head.toString('utf8').replace(/^\uFEFF/, '');
  const first = text.trimStart()[0];
  if (first === undefined) throw new UserError('The file is empty.');
  if (first === '[')
    throw new UserError('This is a JSON array; one object a line is wanted: jq -c ".[]" FILE');
  return first === '{' || ['.ndjson', '.jsonl', '.json'].includes(extname(name).toLowerCase())
    ? readNdjson(all)
    : readCsv(all, text);
}

/** The first bytes, up to a whole line at least, and then all of them. */
async function peek(bytes: AsyncIterable<Buffer>): Promise<{ head: Buffer; all: AsyncIterable<Buffer> }> {
  const iterator = bytes[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  let line = false;
  while (!line && head.length < HEAD) {
    const { value, done } = await iterator.next();
    if (done) break;
    head = Buffer.concat([head, value]);
    line = /\S[^\n]*\n/.test(head.toString('latin1'));
  }
  return {
    head,
    all: (async function* () {
      yield head;
      yield* { [Symbol.asyncIterator]: () => iterator };
    })(),
  };
}

const SIGNATURES: readonly [bytes: number[], what: string][] = [
  [[0x50, 0x4b, 0x03, 0x04], 'a zip file or an Excel workbook: save the sheet as "CSV UTF-8"'],
  [[0xd0, 0xcf, 0x11, 0xe0], 'an old Excel workbook: save the sheet as "CSV UTF-8"'],
  [[0x1f, 0x8b], 'compressed: gunzip -c FILE | orderfleet shipments import -'],
  [[0xff, 0xfe], 'UTF-16: save it as UTF-8'],
  [[0xfe, 0xff], 'UTF-16: save it as UTF-8'],
];

function mustBeText(head: Buffer): void {
  for (const [bytes, what] of SIGNATURES)
    if (bytes.every((byte, at) => head[at] === byte)) throw new UserError(`The file is ${what}.`);
  const zero = head.indexOf(0);
  if (zero >= 0)
    throw new UserError(`The file is no text (byte ${zero + 1} is zero): CSV or NDJSON in UTF-8 is wanted.`);
}

// --- CSV ---

function readCsv(bytes: AsyncIterable<Buffer>, text: string): Lines {
  const ignored = new Set<string>();
  return { format: 'csv', ignored, lines: csvLines(bytes, delimiterOf(text), ignored) };
}

/** The one of them that is most frequent in the first line, outside quotes. */
function delimiterOf(text: string): string {
  const header = (text.trimStart().split('\n')[0] ?? '').replace(/"[^"]*"/g, '');
  const count = (sign: string) => header.split(sign).length;
  return [',', ';', '\t', '|'].reduce((best, sign) => (count(sign) > count(best) ? sign : best));
}

interface CsvRecord {
  record: string[];
  info: { lines: number };
}

/** Where the parser is, as its callbacks tell; it reads a little ahead of what is taken from it. */
interface Faults {
  /** The line in which the last sound record ended. */
  end: number;
  refused: Given[];
  open: { line: number } | undefined;
}

function csvParser(delimiter: string, faults: Faults) {
  return parse({
    delimiter,
    bom: true,
    info: true,
    record_delimiter: ['\r\n', '\n'],
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: LONGEST_LINE,
    skip_records_with_error: true,
    on_record(record, { lines }) {
      faults.end = lines;
      return record;
    },
    on_skip(error) {
      const line = faults.end + 1;
      const end = Number((error as { lines?: number } | undefined)?.lines ?? line);
      if (error?.code === 'CSV_QUOTE_NOT_CLOSED' || error?.code === 'CSV_MAX_RECORD_SIZE')
        faults.open ??= { line };
      else if (faults.refused.at(-1)?.line !== end)
        // once for each line
        faults.refused.push({ line: end, values: {}, refused: 'a quote stands where none may stand' });
      faults.end = end;
      return undefined;
    },
  });
}

async function* csvLines(
  bytes: AsyncIterable<Buffer>,
  delimiter: string,
  ignored: Set<string>,
): AsyncGenerator<Given> {
  const faults: Faults = { end: 0, refused: [], open: undefined };
  const parser = csvParser(delimiter, faults);
  const source = Readable.from(bytes, { objectMode: false });
  source.once('error', (error) => parser.destroy(error));
  source.pipe(parser);
  let header: (Column | undefined)[] | undefined;
  try {
    for await (const { record, info } of parser as AsyncIterable<CsvRecord>) {
      yield* faults.refused.splice(0);
      if (record.every((field) => field.trim() === '')) continue;
      if (!header) header = headerOf(record, ignored);
      else yield csvLine(record, header, info.lines - breaksIn(record));
    }
  } finally {
    source.destroy();
    parser.destroy();
  }
  if (!header) throw new UserError('The file is empty.');
  yield* faults.refused.splice(0);
  if (faults.open)
    yield {
      line: faults.open.line,
      values: {},
      refused:
        'a quote is opened here, or soon after, and not closed: of this line and all that follow nothing is read',
    };
}

/** A record's line is where it begins. */
const breaksIn = (record: readonly string[]) =>
  record.reduce((sum, field) => sum + (field.includes('\n') ? field.split('\n').length - 1 : 0), 0);

/** @throws UserError when a column is missing or there twice */
function headerOf(names: readonly string[], ignored: Set<string>): (Column | undefined)[] {
  const columns = names.map(columnOf);
  const twice = columns.find((column, at) => column && columns.indexOf(column) !== at);
  if (twice)
    throw new UserError(
      `The columns ${names.filter((_, at) => columns[at] === twice).join(' and ')} are all ${twice}: leave one.`,
    );
  const missing: string[] = (
    ['source', 'marketplace_order_id', 'booking_courier', 'booked_at'] as const
  ).filter((column) => !columns.includes(column));
  if (!columns.includes('awb_number') && !columns.includes('lr_number'))
    missing.push('awb_number or lr_number');
  if (missing.length > 0)
    throw new UserError(
      `The first line must name the columns; missing: ${missing.join(', ')}. It names ${names.map((name) => name.trim().slice(0, 40)).join(', ')}. Known are ${COLUMNS.join(', ')}.`,
    );
  for (const [at, name] of names.entries())
    if (!columns[at] && name.trim() && ignored.size < IGNORED_MOST) ignored.add(name.trim());
  return columns;
}

function csvLine(record: readonly string[], header: readonly (Column | undefined)[], line: number): Given {
  const values: Values = {};
  for (const [at, column] of header.entries()) if (column) values[column] = record[at] ?? '';
  // a field too many may have moved all that follow it: no guess which one it is
  return record.length === header.length
    ? { line, values }
    : { line, values, refused: `it has ${record.length} fields, the first line has ${header.length}` };
}

// --- NDJSON ---

function readNdjson(bytes: AsyncIterable<Buffer>): Lines {
  const ignored = new Set<string>();
  return { format: 'ndjson', ignored, lines: ndjsonLines(bytes, ignored) };
}

async function* ndjsonLines(bytes: AsyncIterable<Buffer>, ignored: Set<string>): AsyncGenerator<Given> {
  let line = 0;
  for await (const raw of splitLines(bytes)) {
    line++;
    if (raw === null) {
      yield { line, values: {}, refused: `it is longer than ${LONGEST_LINE / 1024} KB` };
      continue;
    }
    const text = raw.toString('utf8').replace(/^\uFEFF/, '');
    if (text.trim() !== '') yield jsonLine(text, line, ignored);
  }
}

/** Lines without their end; null for one that is too long. */
async function* splitLines(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer | null> {
  let rest: Buffer[] = [];
  let length = 0;
  for await (const chunk of bytes) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      length += end - from;
      yield length > LONGEST_LINE ? null : Buffer.concat([...rest, chunk.subarray(from, end)]);
      [rest, length, from] = [[], 0, end + 1];
    }
    length += chunk.length - from;
    rest = length > LONGEST_LINE ? [] : [...rest, chunk.subarray(from)];
  }
  if (length > 0) yield length > LONGEST_LINE ? null : Buffer.concat(rest);
}

function jsonLine(text: string, line: number, ignored: Set<string>): Given {
  let object: unknown;
  try {
    object = JSON.parse(text);
  } catch {
    return { line, values: {}, refused: 'it is no JSON' };
  }
  if (typeof object !== 'object' || object === null || Array.isArray(object))
    return { line, values: {}, refused: 'it is no JSON object' };
  const values: Values = {};
  let refused: string | undefined;
  for (const [name, value] of Object.entries(object)) {
    const column = columnOf(name);
    if (!column) {
      if (ignored.size < IGNORED_MOST) ignored.add(name.slice(0, 40));
    } else if (values[column] !== undefined) refused = `it has ${column} twice`;
    else if (typeof value === 'string' || value === null) values[column] = value ?? '';
    else if (typeof value === 'number') {
      values[column] = String(value);
      // JSON's numbers are floats to most programs: what lost digits on its way must not become another parcel
      if (!Number.isSafeInteger(value)) refused = `${column} is too long for a number: put it in quotes`;
    } else refused = `${column} is no text`;
  }
  return refused === undefined ? { line, values } : { line, values, refused };
}
