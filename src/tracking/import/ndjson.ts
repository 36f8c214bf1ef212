import { isLosslessNumber, parse } from 'lossless-json';
import { columnOf, type Values } from './columns.ts';
import { type Given, IGNORED_MOST, type Lines, LONGEST_LINE } from './given.ts';

export function readNdjson(bytes: AsyncIterable<Buffer>): Lines {
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

const [LF, CR] = [10, 13];

/** The end of the line at `from`; -1: not in this chunk. */
function lineEnd(chunk: Buffer, from: number): number {
  const [lf, cr] = [chunk.indexOf(LF, from), chunk.indexOf(CR, from)];
  return lf < 0 || cr < 0 ? Math.max(lf, cr) : Math.min(lf, cr);
}

/** Lines without their line endings (LF, CRLF or CR); null for one that is too long. */
async function* splitLines(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer | null> {
  let rest: Buffer[] = [];
  let length = 0;
  let afterCr = false; // the LF of a CRLF may be the first byte of the next chunk
  for await (const chunk of bytes) {
    if (chunk.length === 0) continue;
    let from = afterCr && chunk[0] === LF ? 1 : 0;
    for (let end = lineEnd(chunk, from); end >= 0; end = lineEnd(chunk, from)) {
      length += end - from;
      yield length > LONGEST_LINE ? null : Buffer.concat([...rest, chunk.subarray(from, end)]);
      [rest, length] = [[], 0];
      from = end + (chunk[end] === CR && chunk[end + 1] === LF ? 2 : 1);
    }
    afterCr = chunk.at(-1) === CR;
    length += chunk.length - from;
    rest = length > LONGEST_LINE ? [] : [...rest, chunk.subarray(from)];
  }
  if (length > 0) yield length > LONGEST_LINE ? null : Buffer.concat(rest);
}

function jsonLine(text: string, line: number, ignored: Set<string>): Given {
  let object: unknown;
  try {
    object = parse(text, undefined, { onDuplicateKey: ({ newValue }) => newValue });
  } catch {
    return { line, values: {}, refused: 'it is not valid JSON' };
  }
  if (typeof object !== 'object' || object === null || Array.isArray(object) || isLosslessNumber(object))
    return { line, values: {}, refused: 'it is not a JSON object' };
  const values: Values = {};
  let refused: string | undefined;
  for (const [name, value] of Object.entries(object)) {
    const column = columnOf(name);
    if (!column) {
      if (ignored.size < IGNORED_MOST) ignored.add(name.slice(0, 40));
    } else if (values[column] !== undefined) refused = `it has ${column} twice`;
    else if (typeof value === 'string' || value === null) values[column] = value ?? '';
    else if (isLosslessNumber(value)) {
      // as written: 1.23457e+12 is an integer in JSON, but has lost digits
      values[column] = value.value.replace(/^(-?\d+)\.0+$/, '$1');
      // most programs read JSON numbers as floats: a number that lost digits must not become another parcel's
      if (Math.abs(Number(value.value)) > Number.MAX_SAFE_INTEGER)
        refused = `${column} is too long for a number: put it in quotes`;
    } else refused = `${column} is not a string`;
  }
  return refused === undefined ? { line, values } : { line, values, refused };
}
