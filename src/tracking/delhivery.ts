import type { Complaints } from './answer.ts';
import { headerSecret } from './connecting.ts';
import type { Scheme } from './courier.ts';
import { startOfIndiasDay } from './times.ts';
import { type Meaning, normalise, wordTable } from './words.ts';

/** What Delhivery's three APIs have in common: the key, the words, the sentences. */

export const delhiveryToken = () =>
  headerSecret()
    .optional()
    .describe('Delhivery’s API token for B2C, with or without the word Token; also sent to the fallback');

/** @returns the key without the word Token; '' without one. */
export const bareToken = (setting: string | undefined): string =>
  (setting ?? '').replace(/^token(\s+|$)/i, '').trim();

export const tokenScheme: Scheme = (secret) => ({ authorization: `Token ${secret}` });

/**
 * Statuses of the B2C API by StatusType and Status; "Pending" means opposite things under UD, RT and PU. UD-PENDING and
 * UD-NOT_PICKED depend on more (`b2cMeaning`).
 */
const B2C_WORDS = wordTable({
  in_transit: 'UD-IN_TRANSIT',
  out_for_delivery: 'UD-DISPATCHED',
  delivered: 'DL-DELIVERED',
  rto_in_transit: 'RT-IN_TRANSIT RT-PENDING RT-DISPATCHED',
  rto: 'DL-RTO',
  // LT is its type; the word means so under any
  lost: 'LT-LOST UD-LOST RT-LOST',
  // a reverse pickup that was called off: the booking of this number is over
  booking_cancelled: 'CN-CANCELED CN-CANCELLED CN-CLOSED',
  // PP, PU and DTO: a buyer sends goods back by this number, which is none of the ten statuses; above all no RTO
  unchanged: `UD-MANIFESTED PP-OPEN PP-SCHEDULED PP-DISPATCHED PU-IN_TRANSIT PU-PENDING PU-DISPATCHED PU-COLLECTED
    DL-DTO`,
});

/** What a word of the B2C API means by itself, without code and time. */
export const b2cTable = (word: string): Meaning | undefined => B2C_WORDS.get(word);

/** The seller called it off; DTUP-203 is its sibling. */
const CANCELLED_CODES = ['DTUP-210', 'DTUP-203'];
/** End of a delivery day without delivery: all of EOD but delivered (38), and the reverse pickups' 777 and 21. */
const FAILED_ATTEMPT = /^(EOD-(?!(38|777|21)$)\d{1,4}|ST-108)$/;

export interface B2cStatus {
  type: string | null;
  status: string | null;
  /** The NSL code; null where the API has none. */
  code: string | null;
  /** When it left the seller's hands, as far as is known. */
  pickedUpAt: Date | null;
}

/** UD-IN_TRANSIT; null when there is no status at all. */
export function b2cWord({ type, status }: Pick<B2cStatus, 'type' | 'status'>): string | null {
  const parts = [normalise(type ?? ''), normalise(status ?? '')];
  return parts[1] ? parts.filter(Boolean).join('-') : null;
}

/** C4: the type first, then the status, then the code. @returns undefined for a word that no table has */
export function b2cMeaning(said: B2cStatus, now: number): Meaning | undefined {
  const word = b2cWord(said) ?? '';
  const code = (said.code ?? '').trim().toUpperCase();
  if (word === 'UD-PENDING') {
    if (FAILED_ATTEMPT.test(code)) return 'ndr';
    return pendingMeaning(said.pickedUpAt, now);
  }
  // X-PNP, "not received from client", comes a second after booking and may still be picked up, as with other codes.
  // Without a code (the fallback has none) the word means what it does on Delhivery's site.
  if (word === 'UD-NOT_PICKED')
    return CANCELLED_CODES.includes(code) || !code ? 'booking_cancelled' : 'pending';
  return B2C_WORDS.get(word);
}

/** "Pending" of a parcel on its way there: it waits at a centre, at the first one or, from the next day on, at a later. */
export const pendingMeaning = (pickedUpAt: Date | null, now: number): 'in_transit' | 'pending' =>
  pickedUpAt && pickedUpAt.getTime() < startOfIndiasDay(now) ? 'in_transit' : 'pending';

/** Words of older answers of B2B and the fallback. OUT_FOR_RETURN is no rto: only what is back at the origin is (C5). */
export const LEGACY = {
  in_transit: `IN_TRANSIT PICKED_UP DISPATCHED RECEIVED_AT_ORIGIN REACHED_AT_DESTINATION BAGGED RECEIVED ADDED_TO_BAG
    CONNECTION_ALLOCATED IN_TRANSIT_TO PICKUP_COMPLETE SHIPPED IN_TRANSIT_TO_NEXT_FACILITY`,
  out_for_delivery: 'OFD OUT_FOR_DELIVERY',
  delivered: 'DELIVERED SHIPMENT_DELIVERED',
  rto: 'RTO RTO_DELIVERED RETURNED_TO_ORIGIN RTO_COMPLETED',
  rto_in_transit: `RETURNED_INTRANSIT RTO_IN_TRANSIT RTO_IN_INTRANSIT RTO_OUT_FOR_DELIVERY RTO_OFD OUT_FOR_RETURN
    RTO_INITIATED`,
  booking_cancelled: 'NOT_PICKED CANCELLED CANCELED BOOKING_CANCELLED',
  ndr: 'NDR FAILED_DELIVERY UNDELIVERED',
  lost: 'LOST MISSING UNTRACEABLE',
  destroyed: 'DESTROYED DISPOSED_OFF DAMAGED',
  /** For the fallback unchanged, for B2B a status (C6). */
  waiting: `PICK_UP_PENDING MANIFESTED WAITING_PICKUP PICKUP_QUEUED PICKUP_RESCHEDULED PICK_REQUESTED
    SHIPMENT_BOOKED`,
};

/** Sentences of all three APIs; several of them come with HTTP 200. */
export const DELHIVERY_COMPLAINTS: Complaints = [
  [/data does not exists?|no such waybill|data not found/i, 'notFound'],
  [/authentication credentials|login or api key required|invalid token|invalid origin/i, 'credentials'],
  [/token decode error|invalid authorization header|unauthori[sz]ed|not authori[sz]ed/i, 'credentials'],
  // a token of production at staging, or the other way round
  [/we were asked to not let you see that/i, 'credentials'],
  [/no such resource/i, 'malformed'],
];
