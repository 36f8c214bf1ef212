import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { z } from 'zod';
import { rows as boundedRows } from '../../lib/bounded-rows.ts';
import { messageOf, UserError } from '../../lib/errors.ts';

const MANIFEST = 'manifest.json';
const MOST_FILES = 1_000_000;

const listed = z.object({
  file: z.string(),
  table: z.string(),
  /** 2026-11 */
  month: z.string(),
  rows: z.int(),
  bytes: z.int(),
  sha256: z.string(),
  /** What the rows were taken from: they are deleted there, or are still to be. */
  source: z.string(),
});
export type ArchivedFile = z.output<typeof listed>;

/**
 * P10: a directory of compressed CSV files and the manifest that lists them. What the manifest lists is complete and on
 * the disk; a file that it does not list was cut off, and is never taken for one.
 */
export interface Archive {
  files(): readonly ArchivedFile[];
  /**
   * Writes a file, without listing it yet.
   * @returns undefined for no rows
   */
  write(
    what: Pick<ArchivedFile, 'table' | 'month' | 'source'>,
    csv: Readable,
  ): Promise<ArchivedFile | undefined>;
  /** Lists files. */
  add(files: readonly ArchivedFile[]): Promise<void>;
  /** Takes files out, which keep their content under another name. */
  unlist(files: readonly ArchivedFile[]): Promise<void>;
  /** True when all of them are as they were written. */
  areThere(files: readonly ArchivedFile[]): Promise<boolean>;
}

/** @throws UserError when the directory cannot be used */
export async function openArchive(dir: string): Promise<Archive> {
  await mkdir(dir, { recursive: true, mode: 0o700 }).catch((error) => {
    throw new UserError(`${dir} cannot be made: ${messageOf(error)}`);
  });
  let files = await readManifest(dir);
  const at = (file: string) => path.join(dir, file);
  const cutOff = (file: string) => rename(at(file), at(`${file}.cut-off`)).catch(unlessMissing);

  async function save(next: ArchivedFile[]): Promise<void> {
    const draft = at(`${MANIFEST}.part`);
    const text = `${JSON.stringify({ files: next }, null, 2)}\n`;
    await pipeline([text], createWriteStream(draft, { mode: 0o600, flush: true }));
    await rename(draft, at(MANIFEST));
    await syncDirectory(dir);
    files = next;
  }

  return {
    files: () => files,
    async write(what, csv) {
      const file = freeName(what, files);
      const draft = at(`${file}.part`);
      const [rows, contents] = [countRows(), measured()];
      await pipeline(
        ...[csv, rows.stream, createGzip(), contents.stream],
        createWriteStream(draft, { mode: 0o600, flush: true }),
      );
      if (rows.count() === 0) {
        await rm(draft);
        return undefined;
      }
      await cutOff(file); // of an earlier run
      await rename(draft, at(file));
      return { file, ...what, rows: rows.count(), ...contents.result() };
    },
    add: (more) => save([...files, ...more]),
    async unlist(those) {
      for (const { file } of those) await cutOff(file);
      if (those.length > 0) await save(files.filter((one) => !those.includes(one)));
    },
    async areThere(those) {
      const sizes = await Promise.all(those.map(({ file }) => stat(at(file)).catch(unlessMissing)));
      return those.every(({ bytes }, nth) => sizes[nth]?.size === bytes);
    },
  };
}

async function readManifest(dir: string): Promise<ArchivedFile[]> {
  const file = path.join(dir, MANIFEST);
  const text = await readFile(file, 'utf8').catch(unlessMissing);
  if (text === undefined) return [];
  try {
    return z.object({ files: boundedRows(listed, MOST_FILES) }).parse(JSON.parse(text)).files;
  } catch {
    throw new UserError(`${file} is not the manifest of an archive: give another directory with --to`);
  }
}

/** `shipment_events-2026-11.csv.gz`, with a number once that is taken. */
function freeName({ table, month }: Pick<ArchivedFile, 'table' | 'month'>, files: readonly ArchivedFile[]) {
  const taken = new Set(files.map(({ file }) => file));
  for (let no = 1; ; no++) {
    const file = `${table}-${month}${no === 1 ? '' : `-${no}`}.csv.gz`;
    if (!taken.has(file)) return file;
  }
}

const [QUOTE, NEWLINE] = [0x22, 0x0a];

/** Counts the rows behind the header. A line break inside of quotes is a value's. */
function countRows() {
  let [lines, quoted] = [0, false];
  const stream = new Transform({
    transform(chunk: Buffer, _, done) {
      for (const byte of chunk)
        if (byte === QUOTE) quoted = !quoted;
        else if (byte === NEWLINE && !quoted) lines++;
      done(null, chunk);
    },
  });
  return { stream, count: () => lines - 1 };
}

function measured() {
  const hash = createHash('sha256');
  let bytes = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  return { stream, result: () => ({ bytes, sha256: hash.digest('hex') }) };
}

/** A renamed file has its new name after a power cut as well. */
async function syncDirectory(dir: string): Promise<void> {
  const directory = await open(dir, 'r');
  await directory.sync().finally(() => directory.close());
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
