import { z } from 'zod';
import { entriesOf, isObject, type Json, parts, rowsOf, text } from './response.ts';
import { indiaTimes } from './times.ts';

/** Shiprocket's format of a parcel, which Velocity has too. Personal data and places in it go no further. */
const data = z.object({
  track_status: text,
  shipment_status: text,
  error: text,
  shipment_track: parts({
    awb_code: text,
    current_status: text,
    pickup_date: text,
    delivered_date: text,
    updated_time_stamp: text,
  }),
  shipment_track_activities: parts({ date: text, 'sr-status': text, 'sr-status-label': text }),
});
export type TrackingData = z.output<typeof data>;

type Entry = [number: string | null, data: TrackingData | null];

/**
 * Reads an object by AWB, `{"<AWB>": {"tracking_data": {…}}}`, a list of such objects, or a single parcel's response,
 * `{"tracking_data": {…}}`.
 * @returns each with its number: the one in the item, else its key; data is null for an unknown parcel
 */
export function trackingDataOf(container: unknown): Entry[] {
  const objects = (Array.isArray(container) ? rowsOf(container) : [container]).filter(isObject);
  return objects.flatMap((object) =>
    'tracking_data' in object
      ? [entryOf(null, object)]
      : entriesOf(object).flatMap(([key, entry]) =>
          isObject(entry) && 'tracking_data' in entry ? [entryOf(key, entry)] : [],
        ),
  );
}

function entryOf(key: string | null, { tracking_data }: Json): Entry {
  if (!isObject(tracking_data)) return [key, null];
  const read = data.parse(tracking_data);
  return [read.shipment_track[0]?.awb_code ?? key, read];
}

/** The newest activity. They come newest first; that order decides between equal times. */
export function newestActivity({ shipment_track_activities: activities }: TrackingData, now: number) {
  let best = activities[0];
  let at = indiaTimes.past(best?.date, now);
  for (const activity of activities) {
    const time = indiaTimes.past(activity.date, now);
    if (time && (!at || time > at)) [best, at] = [activity, time];
  }
  return { label: best?.['sr-status-label'] ?? null, id: best?.['sr-status'] ?? null, at };
}
