import { createHash } from 'node:crypto';
import { z } from 'zod';
import { parsedObject } from '../../http.ts';
import { type Answer, json } from '../../http-faults.ts';
import type { CourierCall } from '../desk.ts';
import { scansOf } from '../lives.ts';
import { offsetText } from '../local-time.ts';
import type { EventName, Parcel, Scan } from '../model.ts';
import { PERSONAL } from '../places.ts';
import { defineStandIn, type SettingsOf } from '../stand-in.ts';

const settings = {
  user: z.string().default('demo-gls@example.com'),
  password: z.string().default('demo-gls-password'),
  /** The same request so often in five minutes is refused. */
  same: z.int().min(1).default(5),
  /** A wrong password: HTTP 401, or an error like that of a wrong user. */
  wrongPasswordAs: z.enum(['401', 'error']).default('401'),
  /** The error for an unknown number. */
  unknownAs: z.enum(['9', '10', '26']).default('9'),
  order: z.enum(['newest first', 'oldest first']).default('newest first'),
};
declare module '../model.ts' {
  interface SettingsOfApis {
    gls: SettingsOf<typeof settings>;
  }
}

/** POST /GetParcelStatuses with user name and hash of the password in its body, one parcel a request. */
export default defineStandIn({
  name: 'gls',
  prefix: '/couriers/gls/ParcelService.svc/json',
  settings,
  env: {
    GLS_URL: ({ url }) => url,
    GLS_USERNAME: ({ settings }) => settings.user,
    GLS_PASSWORD: ({ settings }) => settings.password,
  },
  booking: { courier: 'gls', source: 'temu' },
  newNumber: (random) => `62${random.digits(8, true)}`,
  // a failed pickup and a cancellation have no code
  meanings: { sellerCancelled: null },
  mix: { locker: 12, uncollected: 3 },
  open: ({ clock, parcels, settings }) => {
    const seen = new Map<number, number[]>();
    /** True for a request that was sent so often already. */
    const isRepeated = (number: number): boolean => {
      const now = clock.now();
      const times = (seen.get(number) ?? []).filter((at) => at > now - SAME_MS);
      seen.set(number, [...times, now]);
      return times.length + 1 >= settings.same;
    };

    const track = ({ method, body }: CourierCall): Answer => {
      if (method !== 'POST') return { status: 405, type: 'text/html', body: page('Method not allowed.') };
      const given = parsedObject(body);
      const { Username, Password, ParcelNumber: number } = given ?? {};
      const isNumber = typeof number === 'number' && Number.isSafeInteger(number);
      if (!given || !isNumber || !Array.isArray(Password))
        return { status: 400, type: 'text/html', body: page('The server encountered an error.') };
      if (Username !== settings.user) return json(refused(14));
      if (Password.join() !== hashOf(settings.password).join())
        return settings.wrongPasswordAs === '401' ? UNAUTHORIZED : json(refused(-1));
      if (isRepeated(number)) return { ...json(refused(31)), limited: true };
      const parcel = parcels.find('gls', String(number));
      const scans = parcel ? scansOf(parcel, clock.now()) : [];
      if (!parcel || scans.length === 0) return json(refused(Number(settings.unknownAs)));
      return json(answerOf(parcel, scans, settings.order));
    };

    return {
      kindOf: (path) => (path === '/GetParcelStatuses' ? 'track' : 'other'),
      numbersOf: ({ body }) => [parsedObject(body)?.ParcelNumber ?? []].flat().map(String),
      unauthorized: () => UNAUTHORIZED,
      limited: { status: 200, body: JSON.stringify(refused(31)) },
      wrongShapes: WRONG_SHAPES,
      answer: (call) =>
        call.kind === 'track'
          ? track(call)
          : { status: 404, type: 'text/html', body: page('Endpoint not found.') },
    };
  },
});

const SAME_MS = 5 * 60_000;
const hashOf = (password: string): number[] => [...createHash('sha512').update(password).digest()];
const page = (text: string): string => `<html><head><title>Service</title></head><body>${text}</body></html>`;
const UNAUTHORIZED: Answer = { status: 401, type: 'text/html', body: page('Unauthorized.') };

/** Errors come with HTTP 200. */
const ERRORS: Record<number, string> = {
  [-1]: 'Unauthorized.',
  9: 'Parcel number not found',
  10: 'Parcel number not assigned yet.',
  14: 'User not exists.',
  26: 'Parcel not found with current settings.',
  31: 'Same request sent 5 times within last 5 minutes.',
};
const refused = (code: number) => ({
  GetParcelStatusErrors: [
    { ErrorCode: code, ErrorDescription: ERRORS[code], ClientReferenceList: [], ParcelIdList: [] },
  ],
  ParcelNumber: 0,
  ParcelStatusList: [],
  POD: null,
});

const WRONG_SHAPES = [
  '[]',
  'null',
  '"ok"',
  '{}',
  '{"ParcelStatusList":{}}',
  '{"GetParcelStatusErrors":[],"ParcelStatusList":"5","ParcelNumber":1}',
  '{"GetParcelStatusErrors":[],"ParcelStatusList":[{"StatusCode":"5"}],"ParcelNumber":0}',
];

/** Code and text, one with a leading zero as it was met; null: nothing is shown for it. */
const GLS: Record<EventName, readonly [code: string, text: string] | null> = {
  manifested: ['51', 'The parcel data was entered into the GLS IT system.'],
  pickupScheduled: ['83', 'The pickup data was entered into the GLS IT system.'],
  pickedUp: ['1', 'The parcel was handed over to GLS.'],
  atOrigin: ['3', 'The parcel has reached the parcel center.'],
  bagged: ['22', 'The parcel was sent to sorting.'],
  onTrip: ['2', 'The parcel has left the parcel center.'],
  tripArrived: ['3', 'The parcel has reached the parcel center.'],
  received: ['26', 'The parcel has reached the parcel center.'],
  atDestination: ['3', 'The parcel has reached the parcel center.'],
  outForDelivery: ['04', 'The parcel is expected to be delivered during the day.'],
  readyForPickup: ['55', 'The parcel has reached the ParcelShop.'],
  failedAttempt: ['12', 'The parcel could not be delivered as the consignee was absent.'],
  delivered: ['5', 'The parcel has been delivered.'],
  notHandedOver: null,
  sellerCancelled: null,
  rtoStarted: ['23', 'The parcel is returned to the sender.'],
  rtoInTransit: ['2', 'The parcel has left the parcel center.'],
  rtoPending: ['40', 'The parcel is returned to the sender.'],
  rtoOutForDelivery: ['4', 'The parcel is expected to be delivered during the day.'],
  // E5: nothing in it says that it was delivered to the seller
  rtoDelivered: ['5', 'The parcel has been delivered.'],
  lost: ['43', 'The parcel cannot be located.'],
  destroyed: ['31', 'The parcel was destroyed.'],
  strange: ['98', 'A new status.'],
};

/** Milliseconds of GMT, with Bucharest's offset for show. */
const dateOf = (at: number): string => `/Date(${Math.floor(at)}${offsetText('Europe/Bucharest', at)})/`;

function answerOf(parcel: Parcel, scans: readonly Scan[], order: 'newest first' | 'oldest first'): unknown {
  const last = scans.at(-1) as Scan;
  if (last.word?.raw !== undefined) return last.word.raw;
  const list = scans.flatMap(({ event, at, word }) => {
    const shown = word?.status ? [word.status, ''] : GLS[event];
    if (!shown) return [];
    const [StatusCode, StatusDescription] = shown;
    return [
      {
        ...{
          DepotCity: 'Bucuresti',
          DepotNumber: '40',
          StatusCode,
          StatusDate: dateOf(at),
          StatusDescription,
        },
        StatusInfo: event === 'delivered' ? PERSONAL.consignee : '',
      },
    ];
  });
  return {
    ClientReference: PERSONAL.phone,
    DeliveryCountryCode: 'RO',
    DeliveryZipCode: PERSONAL.address,
    GetParcelStatusErrors: [],
    POD: null,
    ParcelNumber: Number(parcel.number),
    ParcelStatusList: order === 'newest first' ? list.reverse() : list,
    Weight: 1.2,
  };
}
