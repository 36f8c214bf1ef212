import type { Scheme } from './courier.ts';
import { headerSecret } from './http-helpers.ts';
import type { ErrorPatterns } from './response.ts';
import { type Meaning, normalizeStatus, statusTable } from './status-table.ts';
import { startOfIndiasDay } from './times.ts';

/** What Delhivery's three APIs have in common: key, statuses, error messages. */

export const delhiveryToken = () =>
  headerSecret()
    .optional()
    .describe('Delhivery’s API token for B2C, with or without the word Token; also sent to the fallback');

/** @returns the key without the prefix Token; '' without one. */
export const bareToken = (setting: string | undefined): string =>
  (setting ?? '').replace(/^token(\s+|$)/i, '').trim();

export const tokenScheme: Scheme = (secret) => ({ authorization: `Token ${secret}` });

/**
 * Statuses of the B2C API by StatusType and Status, since "Pending" means different things under UD, RT and PU. UD-PENDING
 * and UD-NOT_PICKED depend on more (`b2cMeaning`).
 */
const B2C_STATUSES = statusTable({
  in_transit: 'UD-IN_TRANSIT',
  out_for_delivery: 'UD-DISPATCHED',
  delivered: 'DL-DELIVERED',
  rto_in_transit: 'RT-IN_TRANSIT RT-PENDING RT-DISPATCHED',
  rto: 'DL-RTO',
  // LT is its type; LOST means the same under any
  lost: 'LT-LOST UD-LOST RT-LOST',
  // a cancelled reverse pickup: the booking of this number is over
  booking_cancelled: 'CN-CANCELED CN-CANCELLED CN-CLOSED',
  // PP, PU and DTO: a buyer's return under this number is none of our statuses; above all no RTO
  unchanged: `UD-MANIFESTED PP-OPEN PP-SCHEDULED PP-DISPATCHED PU-IN_TRANSIT PU-PENDING PU-DISPATCHED PU-COLLECTED
    DL-DTO`,
});

/** What a status of the B2C API means by itself, without code and time. */
export const b2cTable = (rawStatus: string): Meaning | undefined => B2C_STATUSES.get(rawStatus);

/** Cancelled by the seller. */
const CANCELLED_CODES = ['DTUP-210', 'DTUP-203'];
/** End of a delivery day without delivery: all EOD codes but 38 (delivered), 777 and 21 (reverse pickups). */
const FAILED_ATTEMPT = /^(EOD-(?!(38|777|21)$)\d{1,4}|ST-108)$/;

export interface B2cStatus {
  type: string | null;
  status: string | null;
  /** NSL code; null where the API has none. */
  code: string | null;
  /** null: not known. */
  pickedUpAt: Date | null;
}

/** `UD-IN_TRANSIT`; null without a status. */
export function b2cRawStatus({ type, status }: Pick<B2cStatus, 'type' | 'status'>): string | null {
  const parts = [normalizeStatus(type ?? ''), normalizeStatus(status ?? '')];
  return parts[1] ? parts.filter(Boolean).join('-') : null;
}

/** C4: by type, then status, then code. @returns undefined for an unmapped status */
export function b2cMeaning(said: B2cStatus, now: number): Meaning | undefined {
  const rawStatus = b2cRawStatus(said) ?? '';
  const code = (said.code ?? '').trim().toUpperCase();
  if (rawStatus === 'UD-PENDING') {
    if (FAILED_ATTEMPT.test(code)) return 'ndr';
    return pendingMeaning(said.pickedUpAt, now);
  }
  // X-PNP, "not received from client", comes a second after booking; like with other codes, a pickup may still follow.
  // Without a code (the fallback has none) it means what it does on Delhivery's site.
  if (rawStatus === 'UD-NOT_PICKED')
    return CANCELLED_CODES.includes(code) || !code ? 'booking_cancelled' : 'pending';
  return B2C_STATUSES.get(rawStatus);
}

/** "Pending" on the forward way: in transit from the day after the pickup. */
export const pendingMeaning = (pickedUpAt: Date | null, now: number): 'in_transit' | 'pending' =>
  pickedUpAt && pickedUpAt.getTime() < startOfIndiasDay(now) ? 'in_transit' : 'pending';

/** Statuses in older responses of B2B and the fallback. OUT_FOR_RETURN is not rto, which is back at the origin (C5). */
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

/** Error messages of all three APIs; several come with HTTP 200. */
export const DELHIVERY_ERRORS: ErrorPatterns = [
  [/data does not exists?|no such waybill|data not found/i, 'notFound'],
  [/authentication credentials|login or api key required|invalid token|invalid origin/i, 'credentials'],
  [/token decode error|invalid authorization header|unauthori[sz]ed|not authori[sz]ed/i, 'credentials'],
  // a production token at staging, or vice versa
  [/we were asked to not let you see that/i, 'credentials'],
  [/no such resource/i, 'malformed'],
];
