const HOUR_MS = 3_600_000;

/**
 * The id of a row's job. It contains the due time, so that a kept, ended job never swallows the row's next one; and
 * the hour, so that the row comes back whatever used an id up.
 * @param what identifies the row; without ":"
 */
export const dueJobId = (what: string, dueMs: string | number, nowMs: number): string =>
  `${what}-${dueMs}-${Math.floor(nowMs / HOUR_MS)}`;
