import { extname } from 'node:path';
import { UserError } from '../../lib/errors.ts';
import { readCsv } from './csv.ts';
import type { Lines } from './given.ts';
import { readNdjson } from './ndjson.ts';

/** Bytes read to detect the format. */
const HEAD = 64 * 1024;

/**
 * Streams CSV (commas, semicolons, tabs, bars or what a first line `sep=` sets; quotes; a BOM) or NDJSON, with any line
 * ending.
 * @param name decides the format where the content does not; may be `-`
 * @throws UserError when it is neither: binary, compressed, UTF-16, empty, or without our columns
 */
export async function readLines(bytes: AsyncIterable<Buffer>, name: string): Promise<Lines> {
  const { head, all } = await peek(bytes);
  mustBeText(head);
  const text = head.toString('utf8').replace(/^\uFEFF/, '');
  const first = text.trimStart()[0];
  if (first === undefined) throw new UserError('The file is empty.');
  if (first === '[')
    throw new UserError('This is a JSON array; expected one object per line: jq -c ".[]" FILE');
  return first === '{' || ['.ndjson', '.jsonl', '.json'].includes(extname(name).toLowerCase())
    ? readNdjson(all)
    : readCsv(all, text);
}

/** The first bytes, at least a whole line, and then all of them. */
async function peek(bytes: AsyncIterable<Buffer>): Promise<{ head: Buffer; all: AsyncIterable<Buffer> }> {
  const iterator = bytes[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  let line = false;
  while (!line && head.length < HEAD) {
    const { value, done } = await iterator.next();
    if (done) break;
    head = Buffer.concat([head, value]);
    line = /\S[^\r\n]*[\r\n]/.test(head.toString('latin1'));
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
    throw new UserError(`The file is not text (byte ${zero + 1} is zero): expected CSV or NDJSON in UTF-8.`);
}
