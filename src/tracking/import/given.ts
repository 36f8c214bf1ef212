import type { Values } from './columns.ts';

/** One line of the file as read. */
export type Given = { line: number; values: Values } | { line: number; values: Values; refused: string };

export interface Lines {
  format: 'csv' | 'ndjson';
  /** Unknown columns; of NDJSON those seen so far. */
  ignored: ReadonlySet<string>;
  lines: AsyncIterable<Given>;
}

/** An open quote or a missing line end must not fill the memory. */
export const LONGEST_LINE = 256 * 1024;
export const IGNORED_MOST = 20;
