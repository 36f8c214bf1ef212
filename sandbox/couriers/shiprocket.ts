import { parsedObject } from '../http-body.ts';
import { type Answer, json } from '../http-faults.ts';
import type { SandboxClock } from '../temu/world.ts';
import type { CourierApi, CourierCall, DeskSettings } from './desk.ts';
import { indianBlank, indianDay } from './india.ts';
import { scansOf } from './lives.ts';
import type { Parcel, Scan } from './model.ts';
import type { Parcels } from './parcels.ts';
import { PERSONAL, placeOf } from './places.ts';
import { type AccountSettings, createAccount, secretOf } from './tokens.ts';
import { delhiveryWord, shiprocketWord } from './words.ts';

export interface ShiprocketSettings extends DeskSettings {
  /** AWBs in one request at most. */
  batch: number;
  /** All unknown: `{}`, or `[]` as PHP writes an empty array. */
  emptyAs: '{}' | '[]';
}

/** POST /auth/login, POST /courier/track/awbs, GET /courier/track/awb/AWB. */
export function createShiprocket(
  clock: SandboxClock,
  parcels: Parcels,
  {
    account: ofAccount,
    ...change
  }: Partial<ShiprocketSettings> & { account?: Partial<AccountSettings> } = {},
): CourierApi<ShiprocketSettings> {
  const settings: ShiprocketSettings = {
    batch: 50,
    limit: null,
    loginLimit: null,
    latencyMs: 0,
    emptyAs: '{}',
    ...change,
  };
  const account = createAccount('shiprocket', clock, {
    user: 'demo@orderfleet.example',
    password: 'demo-shiprocket-password',
    tokenSeconds: 10 * 86_400,
    lockAfter: 3,
    lockSeconds: 1800,
    revokesEarlier: false,
    ...ofAccount,
  });

  const login = ({ method, body }: CourierCall): Answer => {
    if (method !== 'POST') return failure('405 Method Not Allowed', 405);
    const given = parsedObject(body);
    const result = account.login(given?.email, given?.password);
    if (result === 'wrong') return failure('Invalid email and password combination', 400);
    if (result === 'locked') return failure('User blocked due to too many failed login attempts.', 403);
    return json({
      company_id: 25_149,
      created_at: '2024-04-01 10:00:00',
      email: account.settings.user,
      first_name: 'API',
      id: 47_251,
      last_name: 'USER',
      token: result.token,
    });
  };

  const bulk = ({ body }: CourierCall): Answer => {
    const awbs = parsedObject(body)?.awbs;
    if (!Array.isArray(awbs)) return failure('Invalid argument supplied for foreach()', 500);
    if (!awbs.every((awb) => typeof awb === 'string'))
      return invalid('awbs.0', 'The awbs.0 must be a string.');
    if (awbs.length > settings.batch)
      return invalid('awbs', `The awbs may not have more than ${settings.batch} items.`);
    const found = [...new Set(awbs)].flatMap((awb) => tracked(awb) ?? []);
    if (found.length === 0) return { status: 200, body: settings.emptyAs };
    found.sort((a, b) => a.seed - b.seed);
    return json(Object.fromEntries(found.map(({ awb, item }) => [awb, item])));
  };

  const tracked = (awb: string): { awb: string; seed: number; item: unknown } | undefined => {
    const parcel = parcels.find('shiprocket', awb);
    const scans = parcel ? scansOf(parcel, clock.now()) : [];
    return parcel && scans.length > 0 ? { awb, seed: parcel.seed, item: itemOf(parcel, scans) } : undefined;
  };

  return {
    name: 'shiprocket',
    prefix: '/couriers/shiprocket/v1/external',
    settings,
    account,
    kindOf: (path) =>
      path === '/auth/login' ? 'login' : path.startsWith('/courier/track/awb') ? 'track' : 'other',
    numbersOf: ({ path, body }) => {
      if (path !== BULK) return [decodeURIComponent(path.slice(SINGLE.length))];
      const awbs = parsedObject(body)?.awbs;
      return Array.isArray(awbs) ? awbs.map(String) : [];
    },
    unauthorized: (kind) =>
      kind === 'login'
        ? failure('Invalid email and password combination', 400)
        : failure('Token has expired', 401),
    limited: { status: 429, body: JSON.stringify({ message: 'Too Many Attempts.', status_code: 429 }) },
    wrongShapes: WRONG_SHAPES,
    answer: (call) => {
      if (call.kind === 'login') return login(call);
      if (call.kind !== 'track') return failure('404 Not Found', 404);
      const checked = account.check(secretOf(call.headers.authorization, 'Bearer'));
      if (checked !== 'ok')
        return failure(checked === 'expired' ? 'Token has expired' : 'Unauthenticated.', 401);
      if (call.path === BULK)
        return call.method === 'POST' ? bulk(call) : failure('405 Method Not Allowed', 405);
      const awb = decodeURIComponent(call.path.slice(SINGLE.length));
      return awb === '' ? failure('404 Not Found', 404) : json(tracked(awb)?.item ?? UNKNOWN);
    },
  };
}

const BULK = '/courier/track/awbs';
const SINGLE = '/courier/track/awb/';

const UNKNOWN = {
  tracking_data: {
    track_status: 0,
    error: 'Aahh! There is no activities found in our DB. Please have some patience it will be updated soon.',
  },
};

const WRONG_SHAPES = [
  '[[]]',
  'null',
  '"ok"',
  '{"message":"Something went wrong","status_code":202}',
  '{"AWB":null}',
  '{"AWB":{"tracking_data":null}}',
  '{"AWB":{"tracking_data":[]}}',
  '{"AWB":{"tracking_data":{"shipment_status":"many","shipment_track":{},"shipment_track_activities":7}}}',
];

function failure(message: string, status: number): Answer {
  return json({ message, status_code: status }, status);
}

function invalid(field: string, text: string): Answer {
  return json({ message: 'The given data was invalid.', errors: { [field]: [text] }, status_code: 422 }, 422);
}

/** One parcel of the bulk answer; a cancelled one has no more than its status and a text. */
function itemOf(parcel: Parcel, scans: readonly Scan[]): unknown {
  const last = scans.at(-1) as Scan;
  if (last.word?.raw !== undefined) return last.word.raw;
  const { id, status } = shiprocketWord(last);
  if (last.event === 'sellerCancelled')
    return { tracking_data: { shipment_status: id, error: 'Ohh! This AWB has been cancelled.' } };
  const first = (event: Scan['event']): number | undefined => scans.find((scan) => scan.event === event)?.at;
  const time = (at: number | undefined): string | null => (at === undefined ? null : indianBlank(at));
  const expected = parcel.bookedAt + 5 * 86_400_000;
  const activities = scans.map((scan) => activityOf(parcel, scan)).reverse();
  return {
    tracking_data: {
      track_status: 1,
      shipment_status: Number.isNaN(id) ? null : id,
      shipment_track: [
        {
          id: parcel.seed,
          awb_code: parcel.number,
          courier_company_id: 10,
          shipment_id: null,
          order_id: parcel.seed % 100_000_000,
          pickup_date: time(last.word?.pickedUpAt ?? first('pickedUp')),
          delivered_date: dateOrNot(parcel, last.word?.deliveredAt ?? first('delivered')),
          weight: '0.10',
          packages: 1,
          // As recorded: "Delivered" and "PICKED UP".
          current_status: last.word === undefined && parcel.seed % 2 === 0 ? status.toUpperCase() : status,
          delivered_to: placeOf(parcel, 'destination').city,
          destination: placeOf(parcel, 'destination').city,
          consignee_name: PERSONAL.consignee,
          origin: placeOf(parcel, 'origin').city,
          courier_agent_details: null,
          courier_name: 'Delhivery Surface',
          edd: indianBlank(expected),
          updated_time_stamp: indianBlank(last.at),
        },
      ],
      // Null where only the label exists yet, as some parcels show it.
      shipment_track_activities: scans.length === 1 && parcel.seed % 3 === 0 ? null : activities,
      track_url: `https://shiprocket.co//tracking/${parcel.number}`,
      etd: parcel.seed % 2 === 0 ? indianDay(expected) : indianBlank(expected),
    },
  };
}

/** Dates that are not there are written in several ways. */
function dateOrNot(parcel: Parcel, at: number | undefined): string | null {
  if (at !== undefined) return indianBlank(at);
  return [null, '', 'NA'][parcel.seed % 3] as string | null;
}

function activityOf(parcel: Parcel, scan: Scan) {
  const { status, sr } = shiprocketWord(scan);
  const { code, remark, status: carrierStatus } = delhiveryWord(scan);
  const rider = scan.event === 'outForDelivery' ? ` by ${PERSONAL.rider} (${PERSONAL.phone})` : '';
  return {
    date: indianBlank(scan.at),
    status: code,
    activity: `${carrierStatus} - ${remark}${rider}`,
    location: placeOf(parcel, scan.place).hub,
    'sr-status': sr,
    // Absent with some carriers; a word that was set is always there.
    ...((scan.word !== undefined || parcel.seed % 5 !== 0) && {
      'sr-status-label': scan.word?.label ?? status.toUpperCase(),
    }),
  };
}
