import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw } from 'node:zlib';

/**
 * Answers that come packed (Content-Encoding, RFC 9110 section 8.4). Ours and not undici's own `interceptors.decompress`:
 * that one is experimental, does not know the bare form of deflate, and hands on what it cannot read as if it could.
 */

/** The answer came and cannot be read; the message says why, for people. */
export class Unreadable extends Error {}

export class TooLarge extends Unreadable {
  constructor(max: number) {
    super(`the answer is larger than ${Math.round(max / 1048576)} MB`);
  }
}

type Unpacker = (packed: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;

const bare = promisify(inflateRaw) as Unpacker;
const framed = promisify(inflate) as Unpacker;
const UNPACKERS: Readonly<Record<string, Unpacker>> = {
  gzip: promisify(gunzip) as Unpacker,
  'x-gzip': promisify(gunzip) as Unpacker,
  // zlib's frame is the standard, and some servers send it bare: its first byte tells (RFC 1950, section 2.2)
  deflate: (packed, options) => (((packed[0] ?? 0) & 0x0f) === 8 ? framed : bare)(packed, options),
  br: promisify(brotliDecompress) as Unpacker,
};

/** What is asked for. */
export const READABLE = 'gzip, deflate, br';
/** Words that servers write there for an answer that is not packed at all; the encodings of text are a usual mistake. */
const NOT_PACKED = new Set(['', 'identity', 'none', 'utf-8', 'utf8']);
/** Nobody packs twice in earnest; each layer costs up to the cap in work. */
const MOST_LAYERS = 2;

/**
 * The codings of an answer in the order in which they were applied; [] for one that is not packed.
 * @throws Unreadable for one that we cannot undo
 */
export function codingsOf(header: string | undefined): string[] {
  const codings = (header ?? '')
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => !NOT_PACKED.has(coding));
  const strange = codings.find((coding) => !Object.hasOwn(UNPACKERS, coding));
  if (strange !== undefined)
    throw new Unreadable(
      `the answer is packed as "${strange.slice(0, 40)}", which we neither asked for nor can read`,
    );
  if (codings.length > MOST_LAYERS) throw new Unreadable(`the answer is packed ${codings.length} times over`);
  return codings;
}

/**
 * R4: what zlib gives is counted while it comes, so that a bomb is given up at the cap, not unpacked and then weighed.
 * @param max bytes of each layer's result
 * @throws TooLarge, Unreadable
 */
export async function unpack(packed: Buffer, codings: readonly string[], max: number): Promise<Buffer> {
  let bytes = packed;
  for (const coding of codings.toReversed()) {
    if (bytes.length === 0) return bytes; // no body, as of a 204
    try {
      bytes = await (UNPACKERS[coding] as Unpacker)(bytes, { maxOutputLength: max });
    } catch (error) {
      if (error instanceof RangeError) throw new TooLarge(max); // ERR_BUFFER_TOO_LARGE
      throw new Unreadable(`the answer says it is packed as ${coding}, and cannot be unpacked`);
    }
  }
  return bytes;
}
