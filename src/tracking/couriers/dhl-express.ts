import { z } from 'zod';
import { ok } from '../../lib/errors.ts';
import { defineCourier, type Item } from '../toolkit/courier.ts';
import { type HistoryEvent, readHistory } from '../toolkit/history.ts';
import { address, bare, basic, below, withQuery } from '../toolkit/http-helpers.ts';
import {
  byNumber,
  type ErrorPatterns,
  errorMessages,
  isObject,
  jsonOf,
  parts,
  quote,
  refusal,
  text,
} from '../toolkit/response.ts';
import { normalizeStatus, statusTable } from '../toolkit/status-table.ts';
import { type Times, timesIn } from '../toolkit/times.ts';

const MINUTE_MS = 60_000;

/** DHL Express: MyDHL API, GET /tracking (https://developer.dhl.com/api-reference/mydhl-api-dhl-express). */
export default defineCourier({
  name: 'dhl-express',
  title: 'DHL Express',
  selection: { courier: 'dhl', sources: 'all', number: 'any-awb', precedence: 20 },
  // the documented maximum
  batch: 200,
  // DHL wants a shipment requested ten times a day at most
  everyMs: 180 * MINUTE_MS,
  timeoutMs: 60_000,
  // none is documented
  limit: () => ({ max: 1, seconds: 1 }),
  atOnce: () => 2,
  settings: {
    DHL_EXPRESS_URL: address()
      .default('https://express.api.dhl.com/mydhlapi')
      .describe('URL of DHL Express’s MyDHL API, up to /mydhlapi'),
    DHL_EXPRESS_USERNAME: z.string().optional().describe('user name at the MyDHL API (API key)'),
    DHL_EXPRESS_PASSWORD: z.string().optional().describe('password at the MyDHL API (API secret)'),
  },
  connect({ DHL_EXPRESS_URL: base, DHL_EXPRESS_USERNAME: username, DHL_EXPRESS_PASSWORD: password }) {
    if (!username || !password) return undefined;
    const headers = { 'x-version': '3.3.0' };
    const all = { levelOfDetail: 'all', trackingView: 'all-checkpoints-with-remarks' };
    return {
      access: { schemes: [bare], key: basic(username, password).authorization },
      request(numbers) {
        const [number = ''] = numbers;
        // only the address of a single shipment gives the offsets of its times
        const url =
          numbers.length === 1
            ? withQuery(below(base, `/shipments/${encodeURIComponent(number)}/tracking`), {
                ...all,
                requestGMTOffsetPerEvent: 'true',
              })
            : withQuery(below(base, '/tracking'), { shipmentTrackingNumber: numbers, ...all });
        return { url, method: 'GET', headers };
      },
    };
  },
  meaning: (rawStatus) => STATUSES.get(rawStatus),
  read(response, asked, now) {
    const body = jsonOf(response);
    const rows = shipments.parse(isObject(body) ? body.shipments : undefined);
    if (rows.length > 0)
      return byNumber(
        'DHL Express',
        asked,
        rows.map((row) => [row.shipmentTrackingNumber, itemOf(row, now)]),
      );
    // 404: none of the numbers is known; without DHL's sentence it is a wrong URL
    if (response.status === 404 && NOT_FOUND.test(errorMessages(body).join(' '))) return ok(new Map());
    return refusal('DHL Express', response, asked, ERRORS);
  },
});

/**
 * The fields that are read. The description of an event may name who signed, so it is not read; addresses, places and
 * pieces are not read either, but for the country of the service area.
 */
const shipments = parts({
  shipmentTrackingNumber: text,
  status: text,
  events: parts({
    date: text,
    time: text,
    GMTOffset: text,
    typeCode: text,
    serviceArea: parts({ description: text }),
  }),
});
type Shipment = z.output<typeof shipments>[number];
type Event = Shipment['events'][number];

const NOT_FOUND = /no shipments? found|no data found|not found for the given/i;

const ERRORS: ErrorPatterns = [
  [/invalid (username|credentials)|unauthori[sz]ed/i, 'credentials'],
  [NOT_FOUND, 'notFound'],
];

/**
 * By typeCode, from GET /reference-data?datasetName=trackingEventCode, which grows without notice. English in the
 * comments. Left to people: PD partial delivery, DD DM (delivered) damaged, TP handed to a third party, after which DHL
 * reports nothing, SS CS CA stopped, closed.
 */
const STATUSES = statusTable({
  // data received, manifested; REGISTERED: the shipment is known and has no event
  pending: 'SD MF REGISTERED',
  // PU SA picked up, accepted; PL processed; DF AF AR CI departed, arrived at a facility, at the delivery facility, checked
  // in; TR SM transferred, scheduled; AD delivery agreed; MC MS wrongly coded or sorted; BL HI HO in bond, in and out of
  // the depot's stock; CU uplift confirmed; IC CR in and out of clearance
  in_transit: 'PU SA PL DF AF AR CI TR SM AD MC MS BL HI HO CU IC CR',
  out_for_delivery: 'WC',
  ready_for_pickup: 'CC',
  // not delivered, nobody home, refused, delivery round missed, bad address, moved
  ndr: 'ND NH RD MD BA CM',
  // the only one
  delivered: 'OK',
  rto: 'RT',
  // destroyed or disposed of
  destroyed: 'DS',
  // OH HP PY held, for payment, payment; CD UD TD delays; FD on to another address; ST intercepted; BN BR ES DI PW DP broker,
  // customs and other papers; EM RR IA SC RW SI DG data, reply, image, service, weight, inspection, dangerous goods; TI TT
  // search begun and ended; NA not arrived; HN LV UV handed over, loaded, unloaded, at either end
  unchanged: 'OH HP PY CD UD TD FD ST BN BR ES DI PW DP EM RR IA SC RW SI DG TI TT NA HN LV UV',
});

function itemOf({ status, events }: Shipment, now: number): Item {
  // `status` is the request's, never the parcel's
  if (events.length === 0 && status !== null && !/^success$/i.test(status))
    return { is: 'notFound', why: quote(status) };
  const history = events.flatMap((event): HistoryEvent[] => {
    const rawStatus = normalizeStatus(event.typeCode ?? '');
    if (!rawStatus) return [];
    const isPickup = rawStatus === 'PU' || rawStatus === 'SA';
    const means = STATUSES.get(rawStatus);
    return [{ rawStatus, courierStatus: rawStatus, means, isPickup, ...timeOf(event, now) }];
  });
  return (
    readHistory(history) ?? {
      ...{ is: 'scan', rawStatus: 'REGISTERED', courierStatus: 'registered', means: 'pending', at: null },
    }
  );
}

/**
 * E2: the depot's local time, with its offset for a single shipment. Otherwise its zone is that of the country after the
 * service area ("Bucharest-RO"), where that has one; elsewhere it gives the order only.
 */
function timeOf(
  { date, time, GMTOffset, serviceArea }: Event,
  now: number,
): Pick<HistoryEvent, 'at' | 'about'> {
  if (!date || !time) return { at: null };
  const local = `${date}T${time}`;
  const country = /- ?([A-Z]{2})$/.exec(serviceArea[0]?.description ?? '')?.[1] ?? '';
  const at = times.past(`${local}${GMTOffset ?? ''}`, now) ?? ZONES.get(country)?.past(local, now) ?? null;
  return { at, about: at ?? times.past(`${local}Z`, now) };
}

const times = timesIn();

/** Europe's countries with one zone. Spain and Portugal have islands in another one. */
const ZONES = new Map<string, Times>([
  ['CY', timesIn('Asia/Nicosia')],
  ...`AL Tirane, AT Vienna, BA Sarajevo, BE Brussels, BG Sofia, CH Zurich, CZ Prague, DE Berlin, DK Copenhagen, EE Tallinn,
  FI Helsinki, FR Paris, GB London, GR Athens, HR Zagreb, HU Budapest, IE Dublin, IT Rome, LT Vilnius, LU Luxembourg,
  LV Riga, MD Chisinau, ME Podgorica, MK Skopje, MT Malta, NL Amsterdam, NO Oslo, PL Warsaw, RO Bucharest, RS Belgrade,
  SE Stockholm, SI Ljubljana, SK Bratislava, TR Istanbul, UA Kyiv`
    .split(/,\s+/)
    .map((pair) => pair.split(' ') as [string, string])
    .map(([country, city]) => [country, timesIn(`Europe/${city}`)] as const),
]);
