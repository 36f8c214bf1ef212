/** C8: the suffix of the order number when a parcel was booked again. */
const REBOOKED = /-(c\d*|k|r)$/i;

/** True when a courier's reference is this order's number, in any case, with or without a rebooking's suffix. */
export function matchesOrderNumber(reference: string, orderNumber: string): boolean {
  const [given, wanted] = [reference.trim().toLowerCase(), orderNumber.trim().toLowerCase()];
  return given === wanted || given.replace(REBOOKED, '') === wanted;
}
