import { z } from 'zod';
import { fail, ok, type Result } from '../../lib/errors.ts';
import type { HttpResponse } from '../../lib/http.ts';
import {
  defineCourier,
  type FeedPage,
  type Item,
  type NumberedScan,
  type Scheme,
} from '../toolkit/courier.ts';
import { type HistoryEvent, readHistory } from '../toolkit/history.ts';
import { address, below, headerSecret, postForm, readLogin, withQuery } from '../toolkit/http-helpers.ts';
import {
  byNumber,
  type ErrorPatterns,
  isObject,
  jsonOf,
  part,
  parts,
  refusal,
  text,
} from '../toolkit/response.ts';
import { normalizeStatus, statusTable } from '../toolkit/status-table.ts';
import { newest, timesIn } from '../toolkit/times.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Sameday, Romania: one AWB per request, by the API that its SDK uses (https://github.com/sameday-courier/php-sdk). */
export default defineCourier({
  name: 'sameday',
  title: 'Sameday',
  selection: { courier: 'sameday', sources: 'all', number: 'any-awb', precedence: 20 },
  // 1SDY…, 1ONB…, 4EMGLN…: the shop's prefix
  numberForm: {
    says: 'letters and digits',
    fits: (number) => /^(?=\d*[A-Z])(?=[A-Z]*\d)[A-Z\d]{8,}$/.test(number),
  },
  batch: 1,
  everyMs: 30 * MINUTE_MS,
  timeoutMs: 20_000,
  // none is published
  limit: () => ({ max: 2, seconds: 1 }),
  atOnce: () => 4,
  settings: {
    SAMEDAY_URL: address()
      .default('https://api.sameday.ro')
      .describe('URL of Sameday’s API; also api.sameday.bg, api.sameday.hu'),
    SAMEDAY_USERNAME: headerSecret().optional().describe('user name of Sameday’s API'),
    SAMEDAY_PASSWORD: headerSecret().optional().describe('password of Sameday’s API'),
  },
  connect({ SAMEDAY_URL: base, SAMEDAY_USERNAME: username, SAMEDAY_PASSWORD: password }) {
    if (!username || !password) return undefined;
    const login = postForm(below(base, '/api/authenticate'), { remember_me: '1', _format: 'json' });
    return {
      access: {
        schemes: [xAuthToken],
        login: {
          request: {
            ...login,
            headers: { ...login.headers, 'x-auth-username': username, 'x-auth-password': password },
          },
          read: (response) =>
            readLogin(
              'Sameday',
              { token: ['token'], expiresAt: 'expire_at_utc', times: timesIn('UTC'), lifeMs: 14 * DAY_MS },
              response,
            ),
          renewBeforeMs: 60 * MINUTE_MS,
        },
      },
      request: ([number = '']) => ({
        url: below(base, `/api/client/awb/${encodeURIComponent(number)}/status`),
        method: 'GET',
      }),
      feed: {
        // two hours are allowed
        windowMs: 119 * MINUTE_MS,
        overlapMs: 60 * MINUTE_MS,
        silentMs: DAY_MS,
        request: ({ from, to }, page) => ({
          url: withQuery(below(base, '/api/client/status-sync'), {
            startTimestamp: String(Math.floor(from.getTime() / 1_000)),
            endTimestamp: String(Math.ceil(to.getTime() / 1_000)),
            page: String(page),
            countPerPage: String(FEED_PAGE),
          }),
          method: 'GET',
        }),
        read: readFeed,
      },
    };
  },
  meaning: (rawStatus) => STATUSES.get(rawStatus),
  // E8: a wrong password and an old token are 403 too, in JSON; its front's challenge is a page
  failureOf(response) {
    if (response.status !== 403) return undefined;
    const body = jsonOf(response);
    if (body === undefined) return fail('throttled', 'HTTP 403 from Sameday’s front').failure;
    const refused = refusal('Sameday', response, [], ERRORS);
    return refused.ok || refused.failure.kind !== 'credentials' ? undefined : refused.failure;
  },
  read(response, asked, now) {
    const body = jsonOf(response);
    // its words are not known but for DELETE's; a path that does not exist is no AWB that does not
    const error = isObject(body) ? errorPart.parse(body.error) : null;
    const reply = error?.message ?? '';
    if (response.status === 404 && error?.code === '404' && !/route/i.test(reply))
      return refusal('Sameday', response, asked, [[/^/, 'notFound']]);
    const parcel = answer.parse(body);
    if (error || !parcel?.expeditionSummary) return refusal('Sameday', response, asked, ERRORS);
    return byNumber('Sameday', asked, [[parcel.expeditionSummary.awbNumber, itemOf(parcel, now)]]);
  },
});

/** The largest page of `status-sync`, which names neither their number nor the last one: that is the one with fewer rows. */
const FEED_PAGE = 500;

/** By parcel: its number is the AWB's and three digits. */
function readFeed(response: HttpResponse, now: number): Result<FeedPage> {
  const body = jsonOf(response);
  if (!isObject(body) || !Array.isArray(body.data)) {
    const refused = refusal('Sameday', response, [], ERRORS);
    return refused.ok ? fail('malformed', 'Sameday returned no list of changes') : refused;
  }
  const scans = feedRows.parse(body.data).flatMap(({ parcelAwbNumber, ...one }): NumberedScan[] => {
    const number = parcelAwbNumber?.match(/^(.+)\d{3}$/)?.[1];
    const scan = readHistory(eventOf(one, now));
    return number && scan ? [[number, scan]] : [];
  });
  return ok({ scans, more: body.data.length >= FEED_PAGE });
}

const xAuthToken: Scheme = (secret) => ({ 'x-auth-token': secret });

/** They have an offset. */
const times = timesIn();

const errorPart = part({ code: text, message: text });

/** The fields that are read. Counties, reasons and places go no further. */
const event = {
  ...{ statusId: text, status: text, statusLabel: text, statusState: text, statusDate: text },
  inReturn: z.unknown().optional(),
};
const feedRows = parts({ parcelAwbNumber: text, ...event });
const answer = part({
  expeditionSummary: part({
    ...{ awbNumber: text, deliveredAt: text },
    delivered: z.unknown().optional(),
    canceled: z.unknown().optional(),
  }),
  expeditionStatus: part(event),
  expeditionHistory: parts(event),
});
type Parcel = NonNullable<z.output<typeof answer>>;
type Event = NonNullable<Parcel['expeditionStatus']>;

/**
 * By text, then by id: Sameday publishes no list, and of many ids the public ones contradict each other. Unmapped: 3, whose
 * text says it; 5, 6, 7, 10, 13 to 22, 30, 34, 74, 75, 79, which one project each knows; redirections, storage, and "Refuz
 * predare", by which the sender did not hand the parcel over. Meanings are in the comments.
 */
const STATUSES = statusTable({
  // issued; a courier is on the way to the sender
  pending: 'REGISTERED ID_1 ID_23 AWB_EMIS UN_CURIER_URMEAZA_SA_RIDICE_COLETUL_DE_LA_EXPEDITOR',
  // handed over; on the way to the local depot; in the central depot; into and out of hubs, sorters, agencies
  in_transit: `ID_4 ID_56 ID_84 EXPEDITORUL_A_PREDAT_COLETUL_CATRE_SAMEDAY
    COLETUL_ESTE_IN_DRUM_SPRE_DEPOZITUL_LOCAL COLETUL_ESTE_IN_DRUM_SPRE_DEPOZITUL_CENTRAL
    INTRARE_IN_HUB IESIRE_DIN_HUB INTRARE_SORTER INTRARE_IN_AGENTIE IESIRE_DIN_AGENTIE`,
  // with the courier
  out_for_delivery: 'ID_33 IN_LIVRARE_LA_CURIER CURIERUL_URMEAZA_SA_EFECTUEZE_LIVRAREA_IN_CURAND',
  // in a locker (easybox) or a shop
  ready_for_pickup: 'ID_78 INCARCAT_IN_OOH',
  // a note was left
  ndr: 'AVIZAT',
  // return
  rto_in_transit: 'ID_35 RETUR',
  // "we returned your parcel successfully"
  rto: 'TI_AM_RETURNAT_COLETUL_CU_SUCCES',
  // DELIVERED: by the summary, without an event
  delivered: 'ID_9 LIVRATA_CU_SUCCES COLETUL_A_FOST_LIVRAT_CU_SUCCES DELIVERED',
  // CANCELED: by the summary
  booking_cancelled: 'CANCELED EXPEDIEREA_A_FOST_ANULATA',
  // cash on delivery paid out, days later; "cannot be located, we come back to you": not lost yet
  unchanged: `RAMBURSUL_A_FOST_TRANSFERAT DIN_PACATE_COLETUL_NU_POATE_FI_LOCALIZAT_REVENIM_CU_VESTI`,
});

const ERRORS: ErrorPatterns = [
  [/invalid credentials|(invalid|expired) token|unauthenticated/i, 'credentials'],
  [/couldn['’]?t determine an awb/i, 'notFound'],
];

/** Looked up without the diacritics that some texts have. */
const keyOf = (written: string | null) =>
  normalizeStatus((written ?? '').normalize('NFD').replace(/\p{M}/gu, ''));

function eventOf({ statusId, ...one }: Event, now: number): HistoryEvent[] {
  const texts = [one.statusLabel, one.status, one.statusState].map(keyOf);
  const id = statusId === null ? '' : keyOf(`ID_${statusId}`);
  const state = keyOf(one.statusState) || keyOf(one.status);
  const known = [...texts, id].find((key) => STATUSES.has(key));
  const rawStatus = known ?? normalizeStatus([id, state].filter(Boolean).join('_'));
  if (!rawStatus) return [];
  return [
    {
      rawStatus,
      courierStatus: [statusId, one.statusState ?? one.status].filter(Boolean).join(' '),
      means: backwards(STATUSES.get(rawStatus), one.inReturn === true),
      at: times.past(one.statusDate, now),
      isPickup: rawStatus === 'ID_4' || rawStatus === 'EXPEDITORUL_A_PREDAT_COLETUL_CATRE_SAMEDAY',
    },
  ];
}

/** E5: what a parcel that is on its way back does, is its return. */
function backwards(means: HistoryEvent['means'], inReturn: boolean): HistoryEvent['means'] {
  if (!inReturn) return means;
  if (means === 'delivered') return 'rto';
  return means === 'in_transit' || means === 'out_for_delivery' ? 'rto_in_transit' : means;
}

function itemOf({ expeditionSummary, expeditionStatus, expeditionHistory }: Parcel, now: number): Item {
  const all = expeditionStatus ? [...expeditionHistory, expeditionStatus] : expeditionHistory;
  const history = all.flatMap((one) => eventOf(one, now));
  const ended = history.some(({ means }) => means === 'delivered' || means === 'rto');
  // what only the summary says: of a cancellation it has no time
  const summary = (rawStatus: string, at: Date | null) => {
    const courierStatus = rawStatus.toLowerCase();
    history.push({ rawStatus, courierStatus, means: STATUSES.get(rawStatus), at });
  };
  if (expeditionSummary?.delivered === true && !ended)
    summary(
      'DELIVERED',
      times.past(expeditionSummary.deliveredAt, now) ?? newest(history.map(({ at }) => at)),
    );
  else if (expeditionSummary?.canceled === true && !ended) summary('CANCELED', null);
  // booked and not yet handed over
  if (history.length === 0) summary('REGISTERED', null);
  return readHistory(history) ?? { is: 'notFound' };
}
