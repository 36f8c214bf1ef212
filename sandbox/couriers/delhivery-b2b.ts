import { parsedObject } from '../http-body.ts';
import { type Answer, json } from '../http-faults.ts';
import type { SandboxClock } from '../temu/world.ts';
import { type CourierApi, type CourierCall, type DeskSettings, FIREWALL } from './desk.ts';
import { indianDate, indianTime } from './india.ts';
import { scansOf } from './lives.ts';
import type { Parcel, Scan } from './model.ts';
import type { Parcels } from './parcels.ts';
import { placeOf } from './places.ts';
import { type AccountSettings, createAccount, secretOf, type TokenCheck } from './tokens.ts';
import { b2bWord } from './words.ts';

export interface B2bSettings extends DeskSettings {
  /** The official LR words, title-case ones that older answers have, or of each parcel one kind. */
  vocabulary: 'official' | 'title' | 'both';
  /** HTTP status of the errors about the token; their texts tell them, too. */
  tokenErrorStatus: number;
  /** HTTP status of "Data not found.". */
  unknownStatus: number;
}

const DAY_S = 86_400;

/** POST /ums/login and GET /lrn/track?lrnum=: one LR a request, its newest status and no history. */
export function createDelhiveryB2b(
  clock: SandboxClock,
  parcels: Parcels,
  { account: ofAccount, ...change }: Partial<B2bSettings> & { account?: Partial<AccountSettings> } = {},
): CourierApi<B2bSettings> {
  const settings: B2bSettings = {
    limit: { max: 500, perSeconds: 300 },
    loginLimit: { max: 100, perSeconds: 300 },
    latencyMs: 0,
    vocabulary: 'both',
    tokenErrorStatus: 401,
    unknownStatus: 200,
    ...change,
  };
  const account = createAccount('delhivery-b2b', clock, {
    user: 'demo-b2b',
    password: 'demo-b2b-password',
    tokenSeconds: DAY_S,
    // The page says: wrong credentials lock the user for ten minutes.
    lockAfter: 1,
    lockSeconds: 600,
    revokesEarlier: false,
    ...ofAccount,
  });

  const login = ({ method, body }: CourierCall): Answer => {
    if (method !== 'POST') return failure('No Such Resource', 404);
    const given = parsedObject(body);
    const result = account.login(given?.username, given?.password);
    if (result === 'wrong') return failure('Invalid username or password', 401);
    if (result === 'locked') return failure('User is locked, please try again after some time', 403);
    return json({ success: true, data: { jwt: result.token } });
  };

  const track = ({ method, query, headers }: CourierCall): Answer => {
    if (method !== 'GET') return failure('No Such Resource', 404);
    const token = secretOf(headers.authorization, 'Bearer');
    const checked = token === undefined ? 'missing' : account.check(token);
    if (checked !== 'ok') return failure(tokenError(checked, token), settings.tokenErrorStatus);
    const lr = query.get('lrnum') ?? query.get('track_id') ?? '';
    if (lr === '') return failure('Invalid Parameters, Please pass LR number or TrackId', 400);
    const parcel = parcels.find('delhivery-b2b', lr);
    const scans = parcel ? scansOf(parcel, clock.now()) : [];
    if (!parcel || scans.length === 0) return failure('Data not found.', settings.unknownStatus);
    const title =
      settings.vocabulary === 'title' || (settings.vocabulary === 'both' && parcel.seed % 4 === 0);
    return json({ success: true, data: lrOf(parcel, scans, title, query.get('all_wbns') === 'true') });
  };

  return {
    name: 'delhivery-b2b',
    prefix: '/couriers/delhivery-b2b',
    settings,
    account,
    kindOf: (path) => (path === '/ums/login' ? 'login' : path === '/lrn/track' ? 'track' : 'other'),
    numbersOf: ({ query }) => [query.get('lrnum') ?? query.get('track_id') ?? ''].filter(Boolean),
    unauthorized: (kind) =>
      kind === 'login'
        ? failure('Invalid username or password', 401)
        : failure('The user is not authorized to perform this action.', settings.tokenErrorStatus),
    limited: FIREWALL,
    wrongShapes: WRONG_SHAPES,
    answer: (call) => {
      if (call.kind === 'login') return login(call);
      return call.kind === 'track' ? track(call) : failure('No Such Resource', 404);
    },
  };
}

function failure(message: string, status: number): Answer {
  return json({ success: false, error: { message }, data: null }, status);
}

function tokenError(checked: Exclude<TokenCheck, 'ok'> | 'missing', token: string | undefined): string {
  if (checked === 'missing') return 'Invalid authorization header provided';
  if (checked === 'expired') return 'Token Decode Error: Signature has expired';
  return (token ?? '').split('.').length === 3
    ? 'The user is not authorized to perform this action.'
    : 'Token Decode Error: Not enough segments';
}

const WRONG_SHAPES = [
  '[]',
  'null',
  '"ok"',
  '{}',
  '{"success":true}',
  '{"success":true,"data":null}',
  '{"success":true,"data":[]}',
  '{"success":true,"data":{"lrnum":null,"status":7,"wbns":{}}}',
  '{"success":true,"data":{"status":["DELIVERED"],"wbns":[null]}}',
];

/** data of one LR; children are shown on request, and one of them is a waybill of its own. */
function lrOf(parcel: Parcel, scans: readonly Scan[], title: boolean, all: boolean): unknown {
  const last = scans.at(-1) as Scan;
  if (last.word?.raw !== undefined) return last.word.raw;
  const status = b2bWord(last, title);
  const first = (event: Scan['event']): number | undefined => scans.find((scan) => scan.event === event)?.at;
  const [pickedUp, delivered] = [
    last.word?.pickedUpAt ?? first('pickedUp'),
    last.word?.deliveredAt ?? first('delivered'),
  ];
  const boxes = 1 + (parcel.seed % 3);
  const waybill = (index: number) => ({
    status,
    location: placeOf(parcel, last.place).hub,
    wbn: `${parcel.number}${String(index).padStart(5, '0')}`,
    count: boxes,
    manifested_date: indianDate(first('manifested') ?? parcel.bookedAt),
    scan_remark: null,
    scan_timestamp: indianTime(last.at, parcel.speed > 1 ? 3 : 0),
    estimated_date: null,
    promised_delivery_date: indianDate(parcel.bookedAt + 5 * DAY_S * 1000),
    pickup_date: pickedUp === undefined ? null : indianDate(pickedUp),
    delivered_date: delivered === undefined ? null : indianDate(delivered),
  });
  return {
    lrnum: parcel.number,
    status,
    mcount: boxes,
    wbns: Array.from({ length: all ? boxes + 1 : 1 }, (_, index) => waybill(index)),
  };
}
