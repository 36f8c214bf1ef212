import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type FailureKind, fail, ok, type Result } from '../../lib/errors.ts';
import { defineCourier, type Item, type Scheme } from '../toolkit/courier.ts';
import { type HistoryEvent, readHistory } from '../toolkit/history.ts';
import { address, below, post } from '../toolkit/http-helpers.ts';
import { byNumber, isObject, jsonOf, parts, quote, refusal, text } from '../toolkit/response.ts';
import { normalizeStatus, statusTable } from '../toolkit/status-table.ts';
import { timesIn } from '../toolkit/times.ts';

const MINUTE_MS = 60_000;

/** User name and password are in each body: there is no login, and no header. */
const inBody: Scheme = () => ({});

/** GLS: MyGLS API of 2025-12, documented at https://api.mygls.ro/docs (GetParcelStatuses, Appendices A and G). */
export default defineCourier({
  name: 'gls',
  title: 'GLS',
  selection: { courier: 'gls', sources: 'all', number: 'any-awb', precedence: 20 },
  batch: 1,
  // a parcel may be requested four times in five minutes (error 31)
  everyMs: 60 * MINUTE_MS,
  // twelve seconds are not rare
  timeoutMs: 30_000,
  // none is documented beside that
  limit: () => ({ max: 2, seconds: 1 }),
  atOnce: () => 4,
  settings: {
    GLS_URL: address()
      .default('https://api.mygls.ro/ParcelService.svc/json')
      .describe(
        'URL of MyGLS’s API, up to /json; an account belongs to one country and to production or test',
      ),
    GLS_USERNAME: z.string().optional().describe('user name at MyGLS, a mail address'),
    GLS_PASSWORD: z.string().optional().describe('password of that user; its SHA-512 is sent'),
  },
  connect({ GLS_URL: base, GLS_USERNAME: user, GLS_PASSWORD: password }) {
    if (!user || !password) return undefined;
    const hash = [...createHash('sha512').update(password, 'utf8').digest()];
    return {
      access: { schemes: [inBody], key: '' },
      request: ([number = '']) =>
        post(below(base, '/GetParcelStatuses'), {
          ...{ Username: user, Password: hash },
          // a JSON number; what is none is refused, and never some other parcel
          ParcelNumber: /^\d{1,15}$/.test(number) ? Number(number) : number,
          // T18: true returns the signature
          ...{ ReturnPOD: false, LanguageIsoCode: 'RO' },
        }),
    };
  },
  meaning: (rawStatus) => STATUSES.get(rawStatus),
  read(response, asked, now) {
    const body = jsonOf(response);
    const { GetParcelStatusErrors, ParcelStatusList: list, ParcelNumber } = isObject(body) ? body : {};
    // E8: errors come with HTTP 200 and an empty list beside them
    const error = errors.parse(GetParcelStatusErrors).find(({ ErrorCode }) => ErrorCode !== '0');
    if (error) return refused(error, asked);
    if (response.status >= 300 || !(Array.isArray(list) || list === null))
      return refusal(TITLE, response, asked, []);
    const given = withoutZeros(text.parse(ParcelNumber) ?? '');
    const number = given && (asked.find((one) => isSame(withoutZeros(one), given)) ?? given);
    return byNumber(TITLE, asked, [[number || null, itemOf(statuses.parse(list), now)]]);
  },
});

const TITLE = 'GLS';

/** Zero is no parcel's number: it is in every answer that is an error. */
const withoutZeros = (number: string): string => number.trim().replace(/^0+/, '');

/** What a label shows may be the number of ten digits with a check digit behind it. */
const isSame = (asked: string, given: string): boolean =>
  asked === given || (asked.length === 11 && asked.slice(0, -1) === given);

const errors = parts({ ErrorCode: text, ErrorDescription: text });

/** Appendix A, what a request for statuses may meet; others: `rejected`. */
const ERRORS: Record<string, FailureKind | 'notFound'> = {
  // unauthorized; the user does not exist
  '-1': 'credentials',
  14: 'credentials',
  // the parcel's id or number does not exist, is another account's, is not assigned yet
  ...{ 4: 'notFound', 5: 'notFound', 9: 'notFound', 10: 'notFound', 15: 'notFound' },
  // "with current settings": of another country, or of the test system
  26: 'notFound',
  // the same request five times in five minutes
  31: 'throttled',
  // unexpected, internal: once more
  ...{ 1000: 'malformed', 1001: 'malformed' },
};

function refused(
  { ErrorCode, ErrorDescription }: z.output<typeof errors>[number],
  asked: readonly string[],
): Result<Map<string, Item>> {
  const why = [ErrorCode ?? '', quote(ErrorDescription ?? '')].filter(Boolean).join(' ');
  const means = ERRORS[ErrorCode ?? ''] ?? 'rejected';
  if (means === 'notFound') return ok(new Map(asked.map((number) => [number, { is: 'notFound', why }])));
  // sooner, the same request would be one too many again
  const more = means === 'throttled' ? { retryAfterMs: 5 * MINUTE_MS } : {};
  return fail(means, `${TITLE} returned error ${why}`, more);
}

/** The fields that are read. Places, remarks (`StatusInfo`), which may name who took it, and the signature go no further. */
const statuses = parts({ StatusCode: text, StatusDate: text, StatusDescription: text });

/** `/Date(1774645401000+0100)/`: milliseconds since 1970 GMT, with an offset that changes nothing. */
const DATE = /^\/Date\((\d{1,14})(?:[+-]\d{4})?\)\/$/;
const times = timesIn();
function timeOf(raw: string | null, now: number): Date | null {
  const ms = DATE.exec(raw ?? '')?.[1];
  return times.past(ms === undefined ? raw : new Date(Number(ms)).toISOString(), now);
}

/** By `StatusCode`, Appendix G, which is a text, at times with a leading zero. Meanings are in the comments. */
const STATUSES = statusTable({
  // data received, also of the cash on delivery
  pending: 'CODE_51 CODE_52',
  // handed over to GLS (1), left or reached a centre, stored, mis-sorted, forwarded (2 to 53, 80); customs (60 to 76)
  in_transit: `CODE_1 CODE_2 CODE_3 CODE_6 CODE_7 CODE_8 CODE_9 CODE_10 CODE_13 CODE_21 CODE_22 CODE_25 CODE_26 CODE_27
    CODE_30 CODE_41 CODE_44 CODE_47 CODE_53 CODE_80
    CODE_60 CODE_61 CODE_62 CODE_63 CODE_64 CODE_65 CODE_66 CODE_67 CODE_70 CODE_71 CODE_72 CODE_73 CODE_74 CODE_76`,
  // today, this evening
  out_for_delivery: 'CODE_4 CODE_32',
  // at a ParcelShop or locker, not collected yet
  ready_for_pickup: 'CODE_55 CODE_56 CODE_59 CODE_97',
  // absent, refused, no cash, address, storage time over, trouble with a locker; none is final, 34 and 35 were delivered later
  ndr: `CODE_11 CODE_12 CODE_14 CODE_15 CODE_16 CODE_17 CODE_18 CODE_19 CODE_20 CODE_33 CODE_34 CODE_35 CODE_36 CODE_38
    CODE_39 CODE_57 CODE_68 CODE_69 CODE_401 CODE_402 CODE_403 CODE_404 CODE_420`,
  // returned to the sender; a 5 behind it is the delivery there (E5)
  rto_in_transit: 'CODE_23 CODE_40',
  // delivered: to the buyer, a box, a neighbour, with a signature
  delivered: 'CODE_5 CODE_54 CODE_58 CODE_92 CODE_93',
  // disposed of, destroyed, confiscated
  destroyed: 'CODE_28 CODE_42 CODE_31 CODE_75',
  // cannot be located
  lost: 'CODE_43',
  // options chosen, an investigation, mails; GLS's pickup at an address (83 to 91)
  unchanged: `CODE_24 CODE_29 CODE_37 CODE_46 CODE_99
    CODE_83 CODE_84 CODE_85 CODE_86 CODE_87 CODE_88 CODE_89 CODE_90 CODE_91`,
});

/** "05" is 5; an empty one is none, and not 0. */
const rawStatusOf = (code: string): string =>
  `CODE_${/^\d{1,9}$/.test(code) ? Number(code) : normalizeStatus(code)}`;

function itemOf(list: z.output<typeof statuses>, now: number): Item {
  const history = list.flatMap(({ StatusCode, StatusDate, StatusDescription }): HistoryEvent[] => {
    if (!StatusCode) return [];
    const rawStatus = rawStatusOf(StatusCode);
    const courierStatus = [StatusCode, StatusDescription].filter(Boolean).join(' ');
    return [
      {
        ...{ rawStatus, courierStatus, means: STATUSES.get(rawStatus), at: timeOf(StatusDate, now) },
        isPickup: rawStatus === 'CODE_1',
      },
    ];
  });
  return readHistory(history) ?? { is: 'notFound' };
}
