import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw } from 'node:zlib';

/**
 * Decodes compressed responses (Content-Encoding, RFC 9110 section 8.4). undici's own `interceptors.decompress` is
 * experimental, does not know raw deflate, and passes on unsupported encodings undecoded.
 */

/** The response cannot be read; the message says why. */
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
  // the zlib format is the standard, but some servers send raw deflate: the first byte shows it (RFC 1950, section 2.2)
  deflate: (packed, options) => (((packed[0] ?? 0) & 0x0f) === 8 ? framed : bare)(packed, options),
  br: promisify(brotliDecompress) as Unpacker,
};

/** Accept-Encoding. */
export const READABLE = 'gzip, deflate, br';
/** Values that servers send for an uncompressed response; charsets are a common mistake. */
const NOT_PACKED = new Set(['', 'identity', 'none', 'utf-8', 'utf8']);
/** Nobody legitimately compresses twice; each layer costs up to `max` bytes of work. */
const MOST_LAYERS = 2;

/**
 * The codings of a response in the order in which they were applied; [] when uncompressed.
 * @throws Unreadable for an unsupported one
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
 * R4: zlib's output is limited while decompressing, against decompression bombs.
 * @param max bytes of each layer's output
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
