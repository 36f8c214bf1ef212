import { z } from 'zod';
import { fail, ok, type Result } from '../../lib/errors.ts';
import type { HttpResponse } from '../../lib/http.ts';
import { defineCourier, type FeedPage, type Item, type NumberedScan } from '../toolkit/courier.ts';
import { type HistoryEvent, readHistory } from '../toolkit/history.ts';
import { address, bearer, below, headerSecret, post, readLogin, withQuery } from '../toolkit/http-helpers.ts';
import {
  byNumber,
  type ErrorPatterns,
  errorMessages,
  isObject,
  jsonOf,
  part,
  parts,
  quote,
  refusal,
  rowsOf,
  text,
} from '../toolkit/response.ts';
import { normalizeStatus, statusTable } from '../toolkit/status-table.ts';
import { dateIn, timesIn } from '../toolkit/times.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Cargus, Romania: API V3 behind Azure (https://www.cargus.ro/wp-content/uploads/DocumentatieAPIV3-2.0-EN.pdf). */
export default defineCourier({
  name: 'cargus',
  title: 'Cargus',
  selection: { courier: 'cargus', sources: 'all', number: 'any-awb', precedence: 20 },
  // no maximum is documented; 40 are in use
  batch: 40,
  everyMs: 60 * MINUTE_MS,
  timeoutMs: 30_000,
  // none is documented; it answers 429 to more than one in a second and a bit
  limit: () => ({ max: 1, seconds: 1.5 }),
  atOnce: () => 2,
  settings: {
    CARGUS_URL: address()
      .default('https://urgentcargus.azure-api.net/api')
      .describe('Cargus’s API, up to /api'),
    CARGUS_SUBSCRIPTION_KEY: headerSecret()
      .optional()
      .describe('subscription key, from https://urgentcargus.portal.azure-api.net'),
    CARGUS_USERNAME: z.string().optional().describe('user name at Cargus (WebExpress)'),
    CARGUS_PASSWORD: z.string().optional().describe('password at Cargus'),
  },
  connect(settings) {
    const { CARGUS_URL: base, CARGUS_USERNAME: UserName, CARGUS_PASSWORD: Password } = settings;
    const key = settings.CARGUS_SUBSCRIPTION_KEY;
    if (!key || !UserName || !Password) return undefined;
    const subscription = { 'ocp-apim-subscription-key': key };
    const login = post(below(base, '/LoginUser'), { UserName, Password });
    return {
      access: {
        schemes: [bearer],
        login: {
          request: { ...login, headers: { ...login.headers, ...subscription } },
          read: readToken,
          renewBeforeMs: 60 * MINUTE_MS,
        },
      },
      request: (numbers) => ({
        url: withQuery(below(base, '/AwbTrace'), { barCode: numbers.join(',') }),
        method: 'GET',
        headers: subscription,
      }),
      // all events since a day's beginning, in one response
      feed: {
        windowMs: DAY_MS,
        overlapMs: 60 * MINUTE_MS,
        silentMs: DAY_MS,
        request: ({ from }) => {
          const [year, month, day] = dateIn('Europe/Bucharest', from).split('-');
          return {
            url: withQuery(below(base, '/AwbTrace/GetDeltaEvents'), { FromDate: `${month}-${day}-${year}` }),
            method: 'GET',
            headers: subscription,
          };
        },
        read: readFeed,
      },
    };
  },
  meaning: (rawStatus) => STATUSES.get(rawStatus),
  failureOf(response, of) {
    const body = jsonOf(response);
    const said = quote(errorMessages(body).join('; '));
    // the gateway's quota of a day or a month: no refusal
    if (response.status === 403 && /quota/i.test(said))
      return fail('throttled', `Cargus returned ${said}`).failure;
    // E8: a wrong user or password; not what its gateway answers while Cargus is down, nor a page
    const isGateways = isObject(body) && 'statusCode' in body;
    if (of === 'login' && response.status === 500 && body !== undefined && !isGateways)
      return fail('credentials', `Cargus rejected the login: ${said || 'HTTP 500'}`).failure;
    return undefined;
  },
  read(response, asked, now) {
    const body = jsonOf(response);
    const rows = rowsOf(body);
    const found = rows.flatMap((raw) => {
      const parcel = row.parse(raw);
      return parcel?.Code ? [[parcel.Code, itemOf(parcel, now)] as const] : [];
    });
    // C9: none of them is known, or none was scanned
    const isEmpty = Array.isArray(body) && body.length === 0 && response.status < 300;
    // with a parcel come its children, whose numbers are its own and three digits
    if (found.length > 0 || isEmpty) return byNumber('Cargus', asked, found);
    // T18: of a list only messages: its parcels have names
    const messages = rows.filter((one) => typeof one === 'string');
    const shown = Array.isArray(body) ? { ...response, text: JSON.stringify(messages) } : response;
    return refusal('Cargus', shown, asked, ERRORS);
  },
});

/** Parcels with their events since that day. */
function readFeed(response: HttpResponse, now: number): Result<FeedPage> {
  const body = jsonOf(response);
  if (!Array.isArray(body)) {
    const refused = refusal('Cargus', response, [], ERRORS);
    return refused.ok ? fail('malformed', 'Cargus returned no list of changes') : refused;
  }
  const scans = body.flatMap((raw): NumberedScan[] => {
    const parcel = row.parse(raw);
    const item = parcel?.Code ? itemOf(parcel, now) : undefined;
    return parcel?.Code && item?.is === 'scan' ? [[parcel.Code, item]] : [];
  });
  return ok({ scans, more: false });
}

/** Without a zone, with up to three decimals. */
const times = timesIn('Europe/Bucharest');

/** The fields that are read. Who signed, remarks and places go no further. */
const row = part({ Code: text, Event: parts({ Date: text, EventId: text, Description: text }) });
type Row = NonNullable<z.output<typeof row>>;

/**
 * By EventId. No list is published: this one is of a large shop's tracker. Unmapped, since an operator must decide: 146
 * delivered in part, 213 delivered by a third party, of which no more will come. Meanings are in the comments.
 */
const STATUSES = statusTable({
  pending: 'REGISTERED',
  // 70 72 73 234 collected; 10 11 74 76 149 223 233 249 251 255 into and out of depots, sorted, in another country's centre;
  // 93 94 121 256 on a wrong route
  in_transit: '70 72 73 234 10 11 74 76 149 223 233 249 251 255 93 94 121 256',
  // on its way to the recipient
  out_for_delivery: '5',
  // waits to be collected at Cargus's office
  ready_for_pickup: '38 42 44',
  // 1 to 18 wrong address, 50 52 moved, 24 to 36 closed; 77 79 back in the depot; 95 to 111 not delivered (weather, access,
  // on request, nobody there); 54 closed: not found; 20 22 199 a new date; 153 to 186 refused (a return follows: not final)
  ndr: `1 2 3 4 6 8 14 18 50 52 24 27 32 34 36 77 79 95 96 97 98 99 100 101 103 105 106 108 110 111 54 20 22 199
    153 158 159 161 180 181 182 185 186`,
  // returned at the request of the sender, the recipient, Cargus
  rto_in_transit: '196 197 198',
  // confirmed; delivered damaged
  delivered: '21 60 64',
  destroyed: '89',
  // 25 cash on delivery; 75 wrong code; 114 to 145, 200, 203 to 212, 216 waits, is inspected, is late, takes the next transport
  unchanged: `25 75 114 115 116 117 118 119 120 122 123 124 125 126 127 128 129 130 131 132 133 134 135 136 137 138 139
    140 141 142 143 144 145 200 203 204 205 206 207 208 209 210 211 212 216`,
});
const PICKUPS = ['70', '72', '73', '234'];

const ERRORS: ErrorPatterns = [
  [/failed to authenticate|authorization has been denied|invalid subscription key/i, 'credentials'],
];

/** A token is a single word of JSON; a refusal may be one as well: a sentence, with HTTP 200. */
function readToken(response: HttpResponse) {
  const body = jsonOf(response);
  const isToken = typeof body === 'string' && /^\S{20,}$/.test(body);
  const given = isToken ? { token: body } : typeof body === 'string' ? { message: body } : body;
  if (/failed to authenticate/i.test(errorMessages(given).join(' ')))
    return fail('credentials', 'Cargus rejected the login: "Failed to authenticate!"');
  return readLogin(
    'Cargus',
    { token: ['token'], lifeMs: DAY_MS },
    {
      ...response,
      text: JSON.stringify(given ?? null),
    },
  );
}

function itemOf({ Event }: Row, now: number): Item {
  // oldest first in every answer that was seen
  const dates = times.pastInOrder(
    Event.map((one) => one.Date),
    now,
  );
  const history = Event.flatMap(({ EventId, Description }, index): HistoryEvent[] => {
    const rawStatus = normalizeStatus(EventId ?? '');
    if (!rawStatus) return [];
    return [
      {
        rawStatus,
        courierStatus: [EventId, Description].filter(Boolean).join(' '),
        means: STATUSES.get(rawStatus),
        at: dates[index] ?? null,
        isPickup: PICKUPS.includes(rawStatus),
      },
    ];
  });
  return (
    readHistory(history) ?? {
      ...{ is: 'scan', rawStatus: 'REGISTERED', courierStatus: 'registered', means: 'pending', at: null },
    }
  );
}
