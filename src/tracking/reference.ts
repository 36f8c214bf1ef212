/** C8: what a parcel that was booked again carries behind its order's number. */
const REBOOKED = /-(c\d*|k|r)$/i;

/** True when a courier's reference names this order, also with the suffix of a rebooking, in any case. */
export function namesOrder(reference: string, orderNumber: string): boolean {
  const [given, wanted] = [reference.trim().toLowerCase(), orderNumber.trim().toLowerCase()];
  return given === wanted || given.replace(REBOOKED, '') === wanted;
}
