const LEAST_MS = 1_000;
const MOST_MS = 3_600_000;

/**
 * How long an answer asks us to wait: Retry-After in seconds or as a date, measured against the answer's own Date
 * header where it has one. From 1 s to 1 h; undefined when it does not say.
 */
export function askedToWait(headers: Record<string, string>): number | undefined {
  const text = headers['retry-after']?.trim();
  if (!text) return undefined;
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : untilDate(text, headers.date);
  return Number.isNaN(ms) ? undefined : Math.min(MOST_MS, Math.max(LEAST_MS, Math.ceil(ms)));
}

function untilDate(text: string, date: string | undefined): number {
  const sent = Date.parse(date ?? '');
  return Date.parse(text) - (Number.isNaN(sent) ? Date.now() : sent);
}
