import { z } from 'zod';
import { byNumber, hasMoved, isObject, type Json, jsonOf, part, refusal, text } from '../answer.ts';
import { address, withQuery } from '../connecting.ts';
import { defineCourier, type Item } from '../courier.ts';
import {
  b2cMeaning,
  b2cTable,
  b2cWord,
  bareToken,
  DELHIVERY_COMPLAINTS,
  delhiveryToken,
  tokenScheme,
} from '../delhivery.ts';
import { pastTime } from '../times.ts';

/** Delhivery B2C: parcels of the primary sources, 50 a request (reference/couriers.md, section 1). */
export default defineCourier({
  name: 'delhivery-b2c',
  title: 'Delhivery B2C',
  selection: { courier: 'delhivery', sources: 'primary', number: 'awb', precedence: 20 },
  batch: 50,
  mostPerRun: 36_000,
  everyMs: 8 * 60_000,
  // half of the answers are there after 130 ms, 99 % after 529 ms
  timeoutMs: 15_000,
  // 750 in 5 minutes are allowed per address: at most 707 leave in any 5 minutes
  limit: () => ({ max: 7, seconds: 3 }),
  // enough to use the limit up with answers of four seconds
  atOnce: () => 10,
  settings: {
    DELHIVERY_URL: address()
      .default('https://track.delhivery.com/api/v1/packages/json/')
      .describe('Delhivery’s tracking API for B2C parcels'),
    DELHIVERY_AUTH_TOKEN_B2C: delhiveryToken(),
  },
  connect({ DELHIVERY_URL, DELHIVERY_AUTH_TOKEN_B2C }) {
    const key = bareToken(DELHIVERY_AUTH_TOKEN_B2C);
    if (!key) return undefined;
    return {
      access: { schemes: [tokenScheme], key },
      request: (numbers) => ({
        // verbose=0: no scans, no consignee. All that is read here is in it, in a fifth of the bytes
        url: withQuery(DELHIVERY_URL, { waybill: numbers.join(','), verbose: '0' }),
        method: 'GET',
        headers: { accept: 'application/json' },
      }),
    };
  },
  meaning: b2cTable,
  read(response, asked, now) {
    const body = jsonOf(response);
    const list = isObject(body) && Array.isArray(body.ShipmentData) ? body.ShipmentData : undefined;
    // a push has one parcel at the top (C14)
    const found = (list ?? [body]).flatMap((entry) => {
      const parcel = isObject(entry) && isObject(entry.Shipment) ? itemOf(entry.Shipment, now) : undefined;
      return parcel && parcel[0] !== null ? [parcel] : [];
    });
    const refused = isObject(body) && (body.Error || body.error || body.rmk || body.Success === false);
    // an empty list says that it knows none of them; one with nothing readable in it says nothing
    if (found.length === 0 && (refused || list?.length !== 0))
      return refusal('Delhivery B2C', response, asked, DELHIVERY_COMPLAINTS);
    return byNumber('Delhivery B2C', asked, found);
  },
});

/** What is read of a parcel; the consignee, places and riders' data in it go no further. */
const shipment = z.object({
  AWB: text,
  ReferenceNo: text,
  PickedupDate: text,
  PickUpDate: text,
  DeliveryDate: text,
  RTOStartedDate: text,
  NSLCode: text,
  Status: part({ Status: text, StatusType: text, StatusCode: text, StatusDateTime: text }),
});

function itemOf(raw: Json, now: number): readonly [string | null, Item] {
  const parcel = shipment.parse(raw);
  const { Status, StatusType, StatusCode, StatusDateTime } = parcel.Status ?? {};
  // When it was picked up: PickedupDate, null until then. PickUpDate is filled when the parcel is booked, before any
  // pickup: by it every parcel would be "in transit" the day after. It counts only in answers that have no PickedupDate
  // at all, as the source documents show them.
  const actual = 'PickedupDate' in raw;
  const pickedUpAt = pastTime(actual ? parcel.PickedupDate : parcel.PickUpDate, now);
  // a push calls the code NSLCode
  const code = StatusCode ?? parcel.NSLCode;
  const said = { type: StatusType ?? null, status: Status ?? null, code, pickedUpAt };
  const word = b2cWord(said);
  if (word === null) return [parcel.AWB, { is: 'notFound', why: 'the answer has no status of it' }];
  const means = b2cMeaning(said, now);
  const returning = means === 'rto_in_transit' || means === 'rto';
  const at = pastTime(StatusDateTime, now);
  const scan: Item = {
    is: 'scan',
    word,
    courierStatus: word.toLowerCase(),
    means,
    at,
    reference: parcel.ReferenceNo,
    pickedUpAt: actual || hasMoved(means) ? pickedUpAt : null,
    deliveredAt: means === 'delivered' ? (pastTime(parcel.DeliveryDate, now) ?? at) : null,
    rtoStartedAt: returning ? pastTime(parcel.RTOStartedDate, now) : null,
  };
  return [parcel.AWB, scan];
}
