import type { Values } from './columns.ts';

/** One line of the file as it came. */
export type Given = { line: number; values: Values } | { line: number; values: Values; refused: string };

export interface Lines {
  format: 'csv' | 'ndjson';
  /** Columns that are not ours; of NDJSON those seen so far. */
  ignored: ReadonlySet<string>;
  lines: AsyncIterable<Given>;
}

/** No parcel takes more; an open quote or a missing line end must not fill the memory. */
export const LONGEST_LINE = 256 * 1024;
export const IGNORED_MOST = 20;
