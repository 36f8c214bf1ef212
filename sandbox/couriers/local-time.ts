import { Temporal } from 'temporal-polyfill';

/** Offsets that were computed before, by zone and quarter of an hour: zones change at none but these. */
const offsets = new Map<string, number>();
const QUARTER_MS = 900_000;

function offsetAt(zone: string, at: number): number {
  const key = `${zone} ${Math.floor(at / QUARTER_MS)}`;
  const known = offsets.get(key);
  if (known !== undefined) return known;
  const offset = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone).offsetNanoseconds / 1e6;
  if (offsets.size < 100_000) offsets.set(key, offset);
  return offset;
}

/** `2026-10-25T03:30:00.000`: what the clocks of a zone show, without saying which zone. */
export const wallTime = (zone: string, at: number): string =>
  new Date(at + offsetAt(zone, at)).toISOString().slice(0, -1);

/** `+0300`, `-0500` */
export function offsetText(zone: string, at: number): string {
  const minutes = Math.round(offsetAt(zone, at) / 60_000);
  const pair = (value: number) => String(value).padStart(2, '0');
  return `${minutes < 0 ? '-' : '+'}${pair(Math.floor(Math.abs(minutes) / 60))}${pair(Math.abs(minutes) % 60)}`;
}
