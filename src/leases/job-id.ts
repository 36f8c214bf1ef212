const HOUR_MS = 3_600_000;

/**
 * The id of a row's job. The time at which the row is due is part of it, so that a kept, ended job never swallows the row's
 * next turn; and the hour, so that whatever used an id up, the row comes back.
 * @param what names the row; without ":"
 */
export const dueJobId = (what: string, dueMs: string | number, nowMs: number): string =>
  `${what}-${dueMs}-${Math.floor(nowMs / HOUR_MS)}`;
