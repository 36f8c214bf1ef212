import { z } from 'zod';
import { json } from '../../http-faults.ts';
import { scansOf } from '../lives.ts';
import type { EventName, Parcel } from '../model.ts';
import { defineStandIn, type SettingsOf } from '../stand-in.ts';
import { secretOf } from '../tokens.ts';

const settings = {
  key: z.string().default('demo-new-courier-key'),
  /** Numbers in one request at most. */
  batch: z.int().min(1).default(10),
};
declare module '../model.ts' {
  interface SettingsOfApis {
    'new-courier': SettingsOf<typeof settings>;
  }
}

/** GET /track?numbers=A,B. FILL IN: respond like the real API; here like the made-up one in the courier's file. */
export default defineStandIn({
  name: 'new-courier',
  prefix: '/couriers/new-courier',
  settings,
  env: {
    NEW_COURIER_URL: ({ url }) => url,
    NEW_COURIER_API_KEY: ({ settings }) => settings.key,
  },
  // how its parcels are booked in the demo and in tests; the courier's selection must match them
  booking: { courier: 'New Courier (new-text)', source: 'shopify' },
  open: ({ clock, parcels, settings }) => ({
    kindOf: (path) => (path === '/track' ? 'track' : 'other'),
    numbersOf: ({ query }) => numbersOf(query),
    unauthorized: () => json({ message: 'Invalid key' }, 401),
    limited: json({ message: 'Too many requests' }, 429),
    // bodies of another shape, which the courier's file must report as malformed
    wrongShapes: ['null', '[]', '"ok"', '{}', '{"parcels":{}}', '{"parcels":"none"}'],
    answer: ({ kind, headers, query }) => {
      if (kind !== 'track') return json({ message: 'Not found' }, 404);
      if (secretOf(headers.authorization, 'Bearer') !== settings.key)
        return json({ message: 'Invalid key' }, 401);
      const asked = numbersOf(query);
      if (asked.length === 0 || asked.length > settings.batch)
        return json({ message: `numbers: 1 to ${settings.batch} expected` }, 400);
      // unknown numbers are left out
      const items = asked.flatMap((number) => {
        const parcel = parcels.find('new-courier', number);
        const item = parcel && itemOf(parcel, clock.now());
        return item === undefined ? [] : [item];
      });
      return json({ parcels: items });
    },
  }),
});

const numbersOf = (query: URLSearchParams): string[] =>
  (query.get('numbers') ?? '').split(',').filter((number) => number !== '');

/** FILL IN: its statuses for what happens to a parcel. */
const STATUSES: Record<EventName, string> = {
  manifested: 'CREATED',
  pickupScheduled: 'CREATED',
  pickedUp: 'PICKED_UP',
  atOrigin: 'IN_TRANSIT',
  bagged: 'IN_TRANSIT',
  onTrip: 'IN_TRANSIT',
  tripArrived: 'IN_TRANSIT',
  received: 'IN_TRANSIT',
  atDestination: 'IN_TRANSIT',
  outForDelivery: 'OUT_FOR_DELIVERY',
  readyForPickup: 'READY_FOR_PICKUP',
  failedAttempt: 'FAILED',
  delivered: 'DELIVERED',
  notHandedOver: 'WAITING',
  sellerCancelled: 'CANCELLED',
  rtoStarted: 'RETURNING',
  rtoInTransit: 'RETURNING',
  rtoPending: 'RETURNING',
  rtoOutForDelivery: 'RETURNING',
  rtoDelivered: 'RETURNED',
  lost: 'LOST',
  destroyed: 'DAMAGED',
  strange: 'HELD_AT_CUSTOMS',
};

/** One parcel of the response; undefined while the API does not know it. */
function itemOf(parcel: Parcel, now: number): unknown {
  const scans = scansOf(parcel, now);
  const last = scans.at(-1);
  if (last?.word?.raw !== undefined) return last.word.raw;
  const events = scans.map(({ event, word, at }) => ({
    status: word?.status ?? STATUSES[event],
    at: new Date(at).toISOString(),
  }));
  return last && { number: parcel.number, events: events.reverse() };
}
