import type { z } from 'zod';
import { defineCourier, type Item } from '../toolkit/courier.ts';
import { address, bearer, below, headerSecret, withQuery } from '../toolkit/http-helpers.ts';
import { byNumber, isObject, jsonOf, parts, refusal, text } from '../toolkit/response.ts';
import { normalizeStatus, statusTable } from '../toolkit/status-table.ts';
import { timesIn } from '../toolkit/times.ts';

// FILL IN all of this: the API below is made up, so that there is something to change. docs/add-a-courier.md explains it.

/** New Courier: what it is, where its API is documented, and when you read it. */
export default defineCourier({
  name: 'new-courier',
  title: 'New Courier',
  // parcels whose booking courier has this in its name, of any order source, by their AWB
  selection: { courier: 'new-text', sources: 'all', number: 'any-awb', precedence: 20 },
  // FILL IN numberForm if the form of all its numbers is sure; else leave it out
  batch: 10,
  everyMs: 15 * 60_000,
  timeoutMs: 20_000,
  // FILL IN what is allowed, and stay a little below it
  limit: () => ({ max: 1, seconds: 1 }),
  atOnce: () => 3,
  settings: {
    NEW_COURIER_URL: address()
      .default('https://api.new-courier.example')
      .describe('New Courier’s API: its origin'),
    NEW_COURIER_API_KEY: headerSecret().optional().describe('API key at New Courier'),
  },
  connect({ NEW_COURIER_URL, NEW_COURIER_API_KEY: key }) {
    if (!key) return undefined;
    return {
      access: { schemes: [bearer], key },
      request: (numbers) => ({
        url: withQuery(below(NEW_COURIER_URL, '/track'), { numbers: numbers.join(',') }),
        method: 'GET',
      }),
    };
  },
  meaning: (rawStatus) => STATUSES.get(rawStatus),
  read(response, asked, now) {
    const body = jsonOf(response);
    if (!isObject(body) || !Array.isArray(body.parcels))
      return refusal('New Courier', response, asked, [[/invalid key/i, 'credentials']]);
    const found = parcels.parse(body.parcels).map((parcel) => [parcel.number, itemOf(parcel, now)] as const);
    return byNumber('New Courier', asked, found);
  },
});

/** FILL IN the zone of times that name none; without an argument such times are none. */
const times = timesIn('Europe/Bucharest');

/** The fields that are read; everything else in the response goes no further. */
const parcels = parts({ number: text, events: parts({ status: text, at: text }) });
type Parcel = z.output<typeof parcels>[number];

/** FILL IN the statuses that the courier documents. */
const STATUSES = statusTable({
  pending: 'CREATED WAITING',
  in_transit: 'PICKED_UP IN_TRANSIT',
  out_for_delivery: 'OUT_FOR_DELIVERY',
  ready_for_pickup: 'READY_FOR_PICKUP',
  ndr: 'FAILED',
  delivered: 'DELIVERED',
  rto_in_transit: 'RETURNING',
  rto: 'RETURNED',
  booking_cancelled: 'CANCELLED',
  lost: 'LOST',
  destroyed: 'DAMAGED',
});

function itemOf({ events }: Parcel, now: number): Item {
  // newest first
  const [last] = events;
  const rawStatus = normalizeStatus(last?.status ?? '');
  if (!last || !rawStatus) return { is: 'notFound' };
  const means = STATUSES.get(rawStatus);
  const at = times.past(last.at, now);
  // the first pickup, which is the last in the list
  const pickup = events.findLast(({ status }) => normalizeStatus(status ?? '') === 'PICKED_UP');
  return {
    is: 'scan',
    rawStatus,
    courierStatus: last.status ?? rawStatus,
    means,
    at,
    pickedUpAt: times.past(pickup?.at, now),
    deliveredAt: means === 'delivered' ? at : null,
  };
}
