import { z } from 'zod';
import { parsedObject } from '../../http.ts';
import { type Answer, json } from '../../http-faults.ts';
import type { CourierCall } from '../desk.ts';
import { scansOf } from '../lives.ts';
import { offsetText, wallTime } from '../local-time.ts';
import type { EventName, Parcel, Scan } from '../model.ts';
import { PERSONAL } from '../places.ts';
import { defineStandIn, type Json, type SettingsOf } from '../stand-in.ts';
import { secretOf } from '../tokens.ts';

const settings = {
  batch: z.int().min(1).default(30),
  /** A second result beside the parcel's own: of the number's earlier parcel, delivered a year ago. */
  earlierParcel: z.boolean().default(false),
  /** The pickup as a date without time and offset, as Ground writes some. */
  pickupAs: z.enum(['time', 'date']).default('time'),
};
declare module '../model.ts' {
  interface SettingsOfApis {
    fedex: SettingsOf<typeof settings>;
  }
}

/** POST /oauth/token and POST /track/v1/trackingnumbers. */
export default defineStandIn({
  name: 'fedex',
  prefix: '/couriers/fedex',
  settings,
  limit: { max: 1_400, perSeconds: 10 },
  // one a second for two minutes; more are shut out until it is quiet
  loginLimit: { max: 120, perSeconds: 120, status: 403, body: '<html><body>Access Denied</body></html>' },
  account: {
    user: 'demo-fedex-key',
    password: 'demo-fedex-secret',
    tokenSeconds: 3_599,
    lockAfter: 1_000,
    lockSeconds: 600,
    revokesEarlier: false,
  },
  env: {
    FEDEX_URL: ({ url }) => url,
    FEDEX_CLIENT_ID: ({ account }) => account.user,
    FEDEX_CLIENT_SECRET: ({ account }) => account.password,
  },
  booking: { courier: 'fedex', source: 'temu' },
  newNumber: (random) => {
    const serial = random.digits(11);
    const sum = [...serial].reduce((total, digit, at) => total + Number(digit) * ([3, 1, 7][at % 3] ?? 0), 0);
    return `${serial}${(sum % 11) % 10}`;
  },
  secondNumbers: true,
  // a lost parcel is an exception like others; it has no code of its own
  meanings: { lost: null, destroyed: null },
  mix: { locker: 8, uncollected: 2, redirected: 2, destroyed: 0 },
  open: ({ clock, parcels, settings, account }) => {
    const login = ({ method, body }: CourierCall): Answer => {
      const given = new URLSearchParams(body);
      if (method !== 'POST') return errors(405, 'METHOD.NOT.ALLOWED.ERROR', 'The method is not allowed.');
      // JSON has no grant type here
      if (given.get('grant_type') !== 'client_credentials')
        return errors(422, 'BAD.REQUEST.ERROR', 'Missing or duplicate parameters.');
      const result = account.login(given.get('client_id'), given.get('client_secret'));
      if (typeof result === 'string') return errors(401, 'NOT.AUTHORIZED.ERROR', BAD_CLIENT);
      const expires_in = account.settings.tokenSeconds;
      return json({ access_token: result.token, token_type: 'bearer', expires_in, scope: 'CXS' });
    };

    const resultsOf = (number: string): unknown[] => {
      const parcel = parcels.find('fedex', number);
      const scans = parcel ? scansOf(parcel, clock.now()) : [];
      const shown = scans.filter(({ event, word }) => word || FEDEX[event]);
      const own = parcel && shown.length > 0 ? [resultOf(parcel, shown, settings.pickupAs)] : [];
      if (!settings.earlierParcel) return own.length > 0 ? own : [unknown(number)];
      const before = (parcel?.bookedAt ?? clock.now()) - 365 * 86_400_000;
      const scan: Scan = { event: 'delivered', at: before, place: 'destination' };
      const earlier = { api: 'fedex', number, seed: 1 } as Parcel;
      return [resultOf(earlier, [scan], 'time'), ...own];
    };

    const track = ({ method, headers, body }: CourierCall): Answer => {
      const checked = account.check(secretOf(headers.authorization, 'Bearer'));
      if (checked === 'unknown') return json({ error_description: 'Invalid CXS JWT' }, 401);
      if (checked === 'expired') return errors(401, 'NOT.AUTHORIZED.ERROR', EXPIRED);
      if (method !== 'POST') return errors(405, 'METHOD.NOT.ALLOWED.ERROR', 'The method is not allowed.');
      const numbers = numbersOf(body);
      if (numbers.length === 0)
        return errors(400, 'TRACKING.TRACKINGNUMBER.EMPTY', 'Please provide tracking number.');
      if (numbers.length > settings.batch)
        return errors(
          400,
          'TRACKING.TRACKINGNUMBERS.LIMITEXCEEDED',
          'Please limit the tracking numbers to 30.',
        );
      const completeTrackResults = numbers.map((trackingNumber) => ({
        trackingNumber,
        trackResults: resultsOf(trackingNumber),
      }));
      const missing = completeTrackResults.some(({ trackResults }) =>
        trackResults.some((result) => 'error' in (result as Json)),
      );
      const alerts = 'TRACKING.DATA.NOTFOUND -  Tracking data unavailable';
      const output = { completeTrackResults, ...(missing && { alerts }) };
      return json({ transactionId: TRANSACTION, output });
    };

    return {
      kindOf: (path) =>
        path === '/oauth/token' ? 'login' : path === '/track/v1/trackingnumbers' ? 'track' : 'other',
      numbersOf: ({ body }) => numbersOf(body),
      unauthorized: (kind) => errors(401, 'NOT.AUTHORIZED.ERROR', kind === 'login' ? BAD_CLIENT : EXPIRED),
      limited: errors(
        429,
        'TOO.MANY.REQUESTS',
        'We have received too many requests in a short duration. Please wait a while to try again.',
      ),
      wrongShapes: WRONG_SHAPES,
      answer: (call) => {
        if (call.kind === 'login') return login(call);
        return call.kind === 'track' ? track(call) : errors(404, 'NOT.FOUND.ERROR', 'Not found.');
      },
    };
  },
});

const TRANSACTION = '624deea6-b709-470c-8c39-4b5511281492';
const BAD_CLIENT = 'The given client credentials were not valid. Please modify your request and try again.';
const EXPIRED = 'Access token expired. Please modify your request and try again.';
const errors = (status: number, code: string, message: string): Answer =>
  json({ transactionId: TRANSACTION, errors: [{ code, message }] }, status);

function numbersOf(body: string): string[] {
  const info = parsedObject(body)?.trackingInfo;
  return (Array.isArray(info) ? info : []).flatMap((one) => {
    const number = one?.trackingNumberInfo?.trackingNumber;
    return typeof number === 'string' ? [number] : [];
  });
}

/** Type of the event, its text, and the coarser code of the whole parcel; null: nothing is shown for it. */
const FEDEX: Record<EventName, readonly [type: string, text: string, derived: string] | null> = {
  manifested: ['OC', 'Shipment information sent to FedEx', 'IN'],
  pickupScheduled: null,
  pickedUp: ['PU', 'Picked up', 'PU'],
  atOrigin: ['AR', 'Arrived at FedEx location', 'IT'],
  bagged: ['AO', 'Shipment arriving On-Time', 'IT'],
  onTrip: ['DP', 'Left FedEx origin facility', 'IT'],
  tripArrived: ['AR', 'Arrived at FedEx hub', 'IT'],
  received: ['CC', 'International shipment release - Import', 'IT'],
  atDestination: ['AR', 'At local FedEx facility', 'IT'],
  outForDelivery: ['OD', 'On FedEx vehicle for delivery', 'IT'],
  readyForPickup: ['HP', 'Ready for recipient pickup', 'IT'],
  failedAttempt: ['DE', 'Delivery exception', 'DE'],
  delivered: ['DL', 'Delivered', 'DL'],
  notHandedOver: ['PD', 'Pickup delay', 'SE'],
  sellerCancelled: ['CA', 'Shipment cancelled by sender', 'CA'],
  rtoStarted: ['RS', 'Returning package to shipper', 'RS'],
  rtoInTransit: ['DP', 'Departed FedEx location', 'IT'],
  rtoPending: ['AR', 'Arrived at FedEx location', 'IT'],
  rtoOutForDelivery: ['OD', 'On FedEx vehicle for delivery', 'IT'],
  rtoDelivered: ['DL', 'Delivered', 'DL'],
  lost: ['SE', 'Shipment exception', 'SE'],
  destroyed: ['SE', 'Shipment exception', 'SE'],
  strange: ['ZX', 'New kind of event', 'ZX'],
};

const WRONG_SHAPES = [
  '[]',
  'null',
  '"ok"',
  '{}',
  '{"output":null}',
  '{"output":{"completeTrackResults":{}}}',
  '{"output":{"completeTrackResults":[]}}',
  '{"output":{"completeTrackResults":[{"trackingNumber":7,"trackResults":[{"error":{"code":"INTERNAL.SERVER.ERROR"}}]}]}}',
];

const unknown = (trackingNumber: string) => ({
  trackingNumberInfo: { trackingNumber, trackingNumberUniqueId: '', carrierCode: '' },
  error: {
    code: 'TRACKING.TRACKINGNUMBER.NOTFOUND',
    message: 'Tracking number cannot be found. Please correct the tracking number and try again.',
  },
});

/** Local times with their offsets. */
const local = (at: number): string =>
  `${wallTime(ZONE, at).slice(0, 19)}${offsetText(ZONE, at).replace(/(\d\d)$/, ':$1')}`;
const ZONE = 'Europe/Bucharest';

/** One result; newest event first. */
function resultOf(parcel: Parcel, scans: readonly Scan[], pickupAs: 'time' | 'date'): unknown {
  const last = scans.at(-1) as Scan;
  if (last.word?.raw !== undefined) return last.word.raw;
  const said = ({ event, word }: Scan) =>
    word?.status ? ([word.status, '', word.status] as const) : (FEDEX[event] ?? ['', '', '']);
  const [, text, derived] = said(last);
  const pickup = scans.find(({ event }) => event === 'pickedUp');
  const returning = scans.some(({ event }) => event === 'rtoStarted');
  const dates = [
    ...(pickup ? [{ type: 'ACTUAL_PICKUP', dateTime: local(pickup.at) }] : []),
    { type: 'SHIP', dateTime: `${local(parcel.bookedAt || last.at).slice(0, 10)}T00:00:00-06:00` },
  ];
  return {
    trackingNumberInfo: {
      trackingNumber: parcel.number,
      trackingNumberUniqueId: `12028~${parcel.number}~FDEG`,
      carrierCode: 'FDXE',
    },
    additionalTrackingInfo: {
      hasAssociatedShipments: false,
      nickname: '',
      packageIdentifiers: [
        { type: 'SHIPPER_REFERENCE', values: [parcel.reference ?? ''], trackingNumberUniqueId: '' },
        ...(returning && parcel.returnNumber !== undefined
          ? [{ type: 'RETURNED_TO_SHIPPER_TRACKING_NUMBER', values: [parcel.returnNumber] }]
          : []),
        ...(last.onward && parcel.redirectNumber !== undefined
          ? [{ type: 'REROUTE_TRACKING_NUMBER', values: [parcel.redirectNumber] }]
          : []),
      ],
    },
    latestStatusDetail: {
      code: said(last)[0],
      derivedCode: derived,
      statusByLocale: text,
      description: text,
    },
    deliveryDetails: { receivedByName: PERSONAL.consignee, signedByName: PERSONAL.consignee },
    recipientInformation: { address: { streetLines: [PERSONAL.address], countryCode: 'RO' } },
    dateAndTimes: dates,
    scanEvents: scans.toReversed().map((scan) => {
      const [eventType, eventDescription, derivedStatusCode] = said(scan);
      const isDate = scan.event === 'pickedUp' && pickupAs === 'date';
      const failed = scan.event === 'failedAttempt';
      return {
        date: isDate ? `${local(scan.at).slice(0, 10)}T00:00:00` : local(scan.at),
        eventType,
        eventDescription,
        exceptionCode: failed ? '08' : '',
        exceptionDescription: failed ? 'Customer not available or business closed' : '',
        scanLocation: { streetLines: [''], city: 'BUCHAREST', countryCode: 'RO' },
        locationType: 'FEDEX_FACILITY',
        derivedStatusCode,
        derivedStatus: eventDescription,
      };
    }),
    returnDetail: {},
    packageDetails: { count: '1' },
  };
}
