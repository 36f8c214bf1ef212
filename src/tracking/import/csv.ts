import { Readable } from 'node:stream';
import { parse } from 'csv-parse';
import { UserError } from '../../lib/errors.ts';
import { COLUMNS, type Column, columnOf, type Values } from './columns.ts';
import { type Given, IGNORED_MOST, type Lines, LONGEST_LINE } from './given.ts';

/** Excel's delimiter hint, a line before the header. */
const HINT = /^"?sep=([^\p{L}\p{N}"\r\n])/iu;

/** @param text the beginning of the file, at least a whole line */
export function readCsv(bytes: AsyncIterable<Buffer>, text: string): Lines {
  const ignored = new Set<string>();
  const delimiter = HINT.exec(text.trimStart())?.[1] ?? delimiterOf(text);
  return { format: 'csv', ignored, lines: csvLines(bytes, delimiter, ignored) };
}

/** The most frequent delimiter in the first line, outside quotes. */
function delimiterOf(text: string): string {
  const header = (text.trimStart().split(/[\r\n]/)[0] ?? '').replace(/"[^"]*"/g, '');
  const count = (sign: string) => header.split(sign).length;
  return [',', ';', '\t', '|'].reduce((best, sign) => (count(sign) > count(best) ? sign : best));
}

interface CsvRecord {
  /** Its first line. */
  line: number;
  fields: string[];
}

/** The parser's state, from its callbacks; it reads slightly ahead of its consumer. */
interface Faults {
  /** The line in which the last valid record ended. */
  end: number;
  /** Lines that the parser has counted twice: CRLFs inside quotes. */
  tooMany: number;
  refused: Given[];
  open: { line: number } | undefined;
}

const count = (text: string, what: RegExp) => text.match(what)?.length ?? 0;
const sum = (fields: readonly string[], what: RegExp) =>
  fields.reduce((all, field) => all + count(field, what), 0);

function csvParser(delimiter: string, faults: Faults) {
  return parse({
    delimiter,
    bom: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    relax_quotes: true, // allows 12" in an unknown column; whyQuote rejects the rest
    ltrim: true, // spaces before a quote; not rtrim: csv-parse 7.0.3 then loses data after a skipped record
    skip_empty_lines: true,
    max_record_size: LONGEST_LINE,
    skip_records_with_error: true,
    on_record(fields: string[], { lines }) {
      faults.tooMany += sum(fields, /\r\n/g);
      faults.end = lines - faults.tooMany;
      const record: CsvRecord = { line: faults.end - sum(fields, /\r\n|\r|\n/g), fields };
      return record as never; // its types allow only string arrays
    },
    on_skip(error) {
      const line = faults.end + 1;
      if (error?.code === 'CSV_QUOTE_NOT_CLOSED' || error?.code === 'CSV_MAX_RECORD_SIZE')
        faults.open ??= { line };
      else faults.refused.push({ line, values: {}, refused: `it cannot be read: ${error?.message}` });
      return undefined;
    },
  });
}

async function* csvLines(
  bytes: AsyncIterable<Buffer>,
  delimiter: string,
  ignored: Set<string>,
): AsyncGenerator<Given> {
  const faults: Faults = { end: 0, tooMany: 0, refused: [], open: undefined };
  const parser = csvParser(delimiter, faults);
  const source = Readable.from(bytes, { objectMode: false });
  source.once('error', (error) => parser.destroy(error));
  source.pipe(parser);
  let header: Header | undefined;
  let first: CsvRecord[] | undefined = [];
  try {
    for await (const record of parser as AsyncIterable<CsvRecord>) {
      yield* faults.refused.splice(0);
      if (record.fields.every(isBlank)) continue;
      if (!header) {
        if (!/^sep=/i.test(record.fields[0] ?? '')) header = headerOf(record.fields, ignored);
      } else if (!first) yield csvLine(record, header);
      else if (first.push(record) === SAMPLE) {
        yield* csvLinesOf(first, header);
        first = undefined;
      }
    }
  } finally {
    source.destroy();
    parser.destroy();
  }
  if (!header) throw new UserError('The file is empty.');
  yield* csvLinesOf(first ?? [], header);
  yield* faults.refused.splice(0);
  if (faults.open)
    yield {
      line: faults.open.line,
      values: {},
      refused: 'a quote opened here or soon after is never closed: this line and all after it are skipped',
    };
}

const isBlank = (field: string) => field.trim() === '';

interface Header {
  /** Up to the last field with a name. */
  columns: (Column | undefined)[];
  /** Allowed numbers of fields: as in the first line, with or without its trailing separators. */
  widths: number[];
  /** The number of fields when every line ends with empty extra fields. */
  padded: number;
}

/** Lines that decide whether all lines end with separators. */
const SAMPLE = 20;

/**
 * The first lines. Only if all of them have more fields than columns do lines end with separators: in a single line it
 * may be an extra separator in the middle, which shifts all fields after it.
 */
function* csvLinesOf(records: readonly CsvRecord[], header: Header): Generator<Given> {
  const widths = records.map(({ fields }) => fields.length).filter((width) => width >= header.columns.length);
  header.padded = Math.min(...widths);
  for (const record of records) yield csvLine(record, header);
}

/** @throws UserError when a column is missing or duplicated */
function headerOf(given: readonly string[], ignored: Set<string>): Header {
  const names = given.slice(0, given.findLastIndex((name) => !isBlank(name)) + 1);
  const columns = names.map(columnOf);
  const twice = columns.find((column, at) => column && columns.indexOf(column) !== at);
  if (twice)
    throw new UserError(
      `The columns ${names.filter((_, at) => columns[at] === twice).join(' and ')} all mean ${twice}: keep only one.`,
    );
  const missing: string[] = (
    ['source', 'marketplace_order_id', 'booking_courier', 'booked_at'] as const
  ).filter((column) => !columns.includes(column));
  if (!columns.includes('awb_number') && !columns.includes('lr_number'))
    missing.push('awb_number or lr_number');
  if (missing.length > 0)
    throw new UserError(
      `The first line must name the columns; missing: ${missing.join(', ')}. It names ${names.map((name) => name.trim().slice(0, 40)).join(', ')}. Known columns: ${COLUMNS.join(', ')}.`,
    );
  for (const [at, name] of names.entries())
    if (!columns[at] && name.trim() && ignored.size < IGNORED_MOST) ignored.add(name.trim());
  return { columns, widths: [given.length, names.length], padded: names.length };
}

function csvLine({ line, fields }: CsvRecord, { columns, widths, padded }: Header): Given {
  const values: Values = {};
  for (const [at, column] of columns.entries()) if (column) values[column] = fields[at] ?? '';
  const refused = whyQuote(fields, columns);
  if (refused) return { line, values, refused };
  const isPadded = fields.length === padded && fields.slice(columns.length).every(isBlank);
  if (isPadded || widths.includes(fields.length)) return { line, values };
  const has = `${fields.length} ${fields.length === 1 ? 'field' : 'fields'}`;
  return { line, values, refused: `it has ${has}, the first line has ${columns.length}` };
}

/**
 * A field that still begins with a quote had text after its closing quote. It is rejected in a known column, and wherever
 * it spans lines: those must not be lost silently.
 */
function whyQuote(fields: readonly string[], columns: Header['columns']): string | undefined {
  const wrong = fields.find(
    (field, at) => field.startsWith('"') && (columns[at] !== undefined || /[\r\n]/.test(field)),
  );
  if (wrong === undefined) return undefined;
  const more = sum([wrong], /\r\n|\r|\n/g);
  const lost = more === 1 ? 'the one after it' : `the ${more} after it`;
  return `misplaced quote${more > 0 ? `: this line and ${lost} are skipped` : ''}`;
}
