import { z } from 'zod';
import { entriesOf, isObject, type Json, parts, rowsOf, text } from './answer.ts';
import { pastTime } from './times.ts';

/** The form in which Shiprocket, and Velocity after it, tell of a parcel. Persons and places in it go no further. */
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

type Told = [number: string | null, data: TrackingData | null];

/**
 * What an object by AWB holds, `{"<AWB>": {"tracking_data": {…}}}`, a list of such objects, or one parcel's own answer,
 * `{"tracking_data": {…}}`.
 * @returns each with its number: the one in the item, else its key; null for the data of a parcel that is not known
 */
export function trackingDataOf(container: unknown): Told[] {
  const objects = (Array.isArray(container) ? rowsOf(container) : [container]).filter(isObject);
  return objects.flatMap((object) =>
    'tracking_data' in object
      ? [told(null, object)]
      : entriesOf(object).flatMap(([key, entry]) =>
          isObject(entry) && 'tracking_data' in entry ? [told(key, entry)] : [],
        ),
  );
}

function told(key: string | null, { tracking_data }: Json): Told {
  if (!isObject(tracking_data)) return [key, null];
  const read = data.parse(tracking_data);
  return [read.shipment_track[0]?.awb_code ?? key, read];
}

/** The newest of its activities, which are told newest first; that order decides where their times do not. */
export function newestActivity({ shipment_track_activities: activities }: TrackingData, now: number) {
  let best = activities[0];
  let at = pastTime(best?.date, now);
  for (const activity of activities) {
    const time = pastTime(activity.date, now);
    if (time && (!at || time > at)) [best, at] = [activity, time];
  }
  return { label: best?.['sr-status-label'] ?? null, id: best?.['sr-status'] ?? null, at };
}
