import { z } from 'zod';
import { type Answer, json } from '../../http-faults.ts';
import type { CourierCall } from '../desk.ts';
import { scansOf } from '../lives.ts';
import { offsetText, wallTime } from '../local-time.ts';
import type { EventName, Parcel, Scan } from '../model.ts';
import { PERSONAL } from '../places.ts';
import { defineStandIn, type SettingsOf } from '../stand-in.ts';
import { secretOf } from '../tokens.ts';

const settings = {
  /** An unknown number: 200 with a warning, as it is, or 404, as it is documented. */
  unknownAs: z.enum(['warning', '404']).default('warning'),
  /** GMT times: with colons, as digits without a leading zero, or not at all. */
  gmtAs: z.enum(['colons', 'digits', 'none']).default('colons'),
  /** The end of the way back: a code of its own, or "delivered" behind the return. */
  returnedAs: z.enum(['034', '011']).default('034'),
};
declare module '../model.ts' {
  interface SettingsOfApis {
    ups: SettingsOf<typeof settings>;
  }
}

/** POST /security/v1/oauth/token and GET /api/track/v1/details/NUMBER. */
export default defineStandIn({
  name: 'ups',
  prefix: '/couriers/ups',
  settings,
  // assumed: they are not published
  limit: { max: 5, perSeconds: 1 },
  loginLimit: { max: 20, perSeconds: 60 },
  account: {
    user: 'demo-ups-client',
    password: 'demo-ups-secret',
    tokenSeconds: 14_399,
    lockAfter: 1_000,
    lockSeconds: 600,
    revokesEarlier: false,
  },
  env: {
    UPS_URL: ({ url }) => url,
    UPS_CLIENT_ID: ({ account }) => account.user,
    UPS_CLIENT_SECRET: ({ account }) => account.password,
  },
  booking: { courier: 'ups', source: 'temu' },
  newNumber: (random) => {
    const body = `999AA104${random.digits(7, true)}`;
    return `1Z${body}${checkDigit(body)}`;
  },
  mix: { locker: 8, uncollected: 2 },
  open: ({ clock, parcels, settings, account }) => {
    const login = ({ method, headers, body }: CourierCall): Answer => {
      if (method !== 'POST') return errors(405, '10405', 'Method Not Allowed');
      if (new URLSearchParams(body).get('grant_type') !== 'client_credentials')
        return errors(400, '10400', 'Invalid/Missing grant type');
      const given = Buffer.from(/^Basic (\S+)$/.exec(headers.authorization ?? '')?.[1] ?? '', 'base64');
      const [user, password] = given.toString().split(/:(.*)/s);
      const result = account.login(user, password);
      if (typeof result === 'string') return BAD_CLIENT;
      return json({
        token_type: 'Bearer',
        issued_at: String(clock.now()),
        client_id: account.settings.user,
        access_token: result.token,
        // a text
        expires_in: String(account.settings.tokenSeconds),
        status: 'approved',
      });
    };

    const track = ({ method, path, headers }: CourierCall): Answer => {
      const checked = account.check(secretOf(headers.authorization, 'Bearer'));
      if (checked === 'expired') return errors(401, '251004', 'Token is expired');
      if (checked !== 'ok') return BAD_TOKEN;
      if (method !== 'GET') return errors(405, '10405', 'Method Not Allowed');
      if (!headers.transid || !headers.transactionsrc)
        return errors(400, 'TV0003', 'Missing or invalid transId or transactionSrc');
      const number = numberOf(path);
      if (!/^[0-9A-Z]{7,34}$/.test(number)) return errors(400, 'TV1002', 'Invalid inquiry number');
      const parcel = parcels.find('ups', number);
      const scans = parcel ? scansOf(parcel, clock.now()) : [];
      const shown = scans.filter(({ event, word }) => word || UPS[event]);
      if (parcel && shown.length > 0)
        return json({
          trackResponse: {
            shipment: [{ inquiryNumber: number, package: [packageOf(parcel, shown, settings)] }],
          },
        });
      const warnings = [{ code: 'TW0001', message: 'Tracking Information Not Found' }];
      return settings.unknownAs === 'warning'
        ? json({ trackResponse: { shipment: [{ inquiryNumber: number, warnings }] } })
        : errors(404, 'TW0001', 'Tracking Information Not Found');
    };

    return {
      kindOf: (path) =>
        path === '/security/v1/oauth/token' ? 'login' : path.startsWith(DETAILS) ? 'track' : 'other',
      numbersOf: ({ path }) => [numberOf(path)],
      unauthorized: (kind) => (kind === 'login' ? BAD_CLIENT : BAD_TOKEN),
      limited: errors(429, '10429', 'Too Many Requests'),
      wrongShapes: WRONG_SHAPES,
      answer: (call) => {
        if (call.kind === 'login') return login(call);
        return call.kind === 'track' ? track(call) : errors(404, '10404', 'Invalid URL');
      },
    };
  },
});

const DETAILS = '/api/track/v1/details/';
const numberOf = (path: string): string => decodeURIComponent(path.slice(DETAILS.length));

const errors = (status: number, code: string, message: string): Answer =>
  json({ response: { errors: [{ code, message }] } }, status);
const BAD_CLIENT = errors(401, '10401', 'ClientId is Invalid');
const BAD_TOKEN = errors(401, '250002', 'Invalid Authentication Information.');

/** Letters count 2, 3, 4, …, 9, 0, 1, 2 from A on; every second place counts twice. */
function checkDigit(body: string): number {
  const sum = [...body].reduce((total, character, at) => {
    const value = /\d/.test(character) ? Number(character) : (character.charCodeAt(0) - 63) % 10;
    return total + value * (at % 2 === 0 ? 1 : 2);
  }, 0);
  return (10 - (sum % 10)) % 10;
}

/** type, code and statusCode with the text; null: nothing is shown for it. */
const UPS: Record<EventName, readonly [type: string, code: string, statusCode: string, text: string] | null> =
  {
    manifested: ['M', 'MP', '003', 'Shipper created a label, UPS has not received the package yet. '],
    pickupScheduled: null,
    pickedUp: ['P', 'PU', '038', 'Pickup Scan '],
    atOrigin: ['I', 'OR', '005', 'Origin Scan'],
    bagged: ['I', 'LC', '010', 'Processing at UPS Facility'],
    onTrip: ['I', 'DP', '005', 'Departed from Facility'],
    tripArrived: ['I', 'AR', '005', 'Arrived at Facility'],
    received: ['I', 'IP', '014', 'Your package has cleared customs'],
    atDestination: ['I', 'YP', '071', 'Processing at UPS Facility'],
    // of type D, as is everything on the last mile
    outForDelivery: ['D', 'OT', '021', 'Out For Delivery Today'],
    readyForPickup: ['D', '2Q', '161', 'Delivered to UPS Access Point™'],
    failedAttempt: ['X', '48', '022', 'The receiver was not available for delivery.'],
    delivered: ['D', 'F4', '011', 'DELIVERED '],
    notHandedOver: ['X', 'PA', '065', 'Pickup attempted'],
    sellerCancelled: ['M', 'VM', '007', 'Shipment information voided'],
    rtoStarted: ['X', 'RS', '035', 'Returning to Sender'],
    rtoInTransit: ['I', 'DP', '036', 'Returning to Sender: In Transit'],
    rtoPending: ['I', 'AR', '036', 'Returning to Sender: In Transit'],
    rtoOutForDelivery: ['I', 'OT', '036', 'Returning to Sender: In Transit'],
    rtoDelivered: ['D', 'RS', '034', 'Returned to Sender'],
    lost: ['X', 'CL', '140', 'Claim paid'],
    destroyed: ['X', 'DX', '149', 'Package destroyed'],
    strange: ['X', 'ZX', '199', 'New kind of event'],
  };

const WRONG_SHAPES = [
  '[]',
  'null',
  '"ok"',
  '{}',
  '{"trackResponse":null}',
  '{"trackResponse":{"shipment":{}}}',
  '{"trackResponse":{"shipment":[]}}',
  '{"trackResponse":{"shipment":[{"package":[{"activity":[{"status":{"statusCode":"011"}}]}]}]}}',
];

/** One package; newest activity first. */
function packageOf(
  parcel: Parcel,
  scans: readonly Scan[],
  { gmtAs, returnedAs }: { gmtAs: string; returnedAs: string },
): unknown {
  const last = scans.at(-1) as Scan;
  if (last.word?.raw !== undefined) return last.word.raw;
  const activity = scans.toReversed().map((scan) => {
    const [type, code, own, description] = UPS[scan.event] ?? ['', '', '', ''];
    const statusCode = scan.word?.status ?? (scan.event === 'rtoDelivered' ? returnedAs : own);
    const zone = scan.place === 'destination' ? 'Europe/Vienna' : 'Europe/Bucharest';
    const [date, time] = written(wallTime(zone, scan.at));
    const [gmtDate, gmtTime] = written(new Date(scan.at).toISOString());
    const gmtOffset = offsetText(zone, scan.at).replace(/(\d\d)$/, ':$1');
    // labels have none
    const withGmt = gmtAs !== 'none' && scan.event !== 'manifested';
    const digits = String(Number(gmtTime));
    return {
      location: { address: { city: 'Cluj-Napoca', countryCode: 'RO', country: 'RO' }, slic: '0000' },
      status: { type, description, code, statusCode },
      ...{ date, time },
      ...(withGmt && {
        gmtDate,
        gmtTime: gmtAs === 'digits' ? digits : gmtTime.replace(/^(..)(..)(..)$/, '$1:$2:$3'),
        gmtOffset,
      }),
    };
  });
  const { description, statusCode } = activity[0]?.status ?? {};
  return {
    trackingNumber: parcel.number,
    activity,
    currentStatus: { description, code: statusCode },
    deliveryInformation: { receivedBy: PERSONAL.consignee, location: 'Front Door' },
    packageAddress: [
      { type: 'DESTINATION', name: PERSONAL.consignee, address: { addressLine1: PERSONAL.address } },
    ],
    packageCount: 1,
  };
}

/** 20260303 and 132000. */
const written = (iso: string): [date: string, time: string] => [
  iso.slice(0, 10).replaceAll('-', ''),
  iso.slice(11, 19).replaceAll(':', ''),
];
