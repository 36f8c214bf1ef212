/** "3 min ago", "in 20 s". */
export function relative(time: Date | string | null, nowMs = Date.now()): string {
  if (!time) return '–';
  const seconds = Math.round((new Date(time).getTime() - nowMs) / 1000);
  const size = Math.abs(seconds);
  const text =
    size < 90
      ? `${size} s`
      : size < 5400
        ? `${Math.round(size / 60)} min`
        : size < 172_800
          ? `${Math.round(size / 3600)} h`
          : `${Math.round(size / 86_400)} days`;
  return seconds > 0 ? `in ${text}` : `${text} ago`;
}

/** "4 min 12 s", "3 h 5 min". */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 90
    ? `${minutes} min ${seconds % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** "2026-11-22 06:47:34 UTC". */
export const utc = (at: Date): string => `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** Seconds since a time; 0 if there is none or it is in the future. */
export const secondsSince = (since: Date | number | null | undefined, nowMs: number): number =>
  Math.max(0, nowMs - Number(since ?? nowMs)) / 1000;
