import type { ApiError } from './model.ts';

const error = (errorCode: number, errorMsg: string): ApiError => ({ errorCode, errorMsg });

const INVALID_ORDER =
  'The parentOrder or Order is invalid. Please check if the parentOrder matches the Order, the parentOrder or Order is nonexistent etc.';

/** Codes and texts from the pages of v2.confirm, v2.get and shippingtype.update; `{*}` is a placeholder. */
export const SHIPPING = {
  badRequest: error(120_011_020, 'Invalid request parameters'),
  parentInvalid: error(120_012_007, INVALID_ORDER),
  orderInvalid: error(120_012_016, INVALID_ORDER),
  sameRowTwice: error(120_012_041, 'A duplicate sub-order number has been entered for tracking number {*}.'),
  differentAddresses: error(
    120_012_015,
    'Combined delivery failed since the delivery addresses for PO orders are different.',
  ),
  alreadyShipped: error(
    120_012_004,
    'The order has been shipped. This submission is not effective for the shipped order.',
  ),
  addressChange: error(120_012_023, 'Address change pending. Please process before shipping.'),
  cancelPending: error(120_012_030, 'Order cancel pending. Please process before shipping.'),
  riskAlert: error(120_012_031, 'The current parent order has a pending risk control alert.'),
  restricted: error(
    120_012_034,
    'Your store has been restricted from confirming shipment by tracking number. Please use the online buy shipping function instead. For more details, please refer to the message in the Seller Center regarding the notice on the restriction of the "confirm shipment by tracking number".',
  ),
  numberBlank: error(120_014_001, 'Tracking number is blank.'),
  numberTwice: error(120_014_003, 'Duplicate tracking number'),
  numberUsed: error(120_014_004, 'Tracking number has been used'),
  numberSigns: error(
    120_014_020,
    'Delivery failed because the tracking number cannot be recognized. Please delete specific symbol such as -, %, # etc.',
  ),
  numberInvalid: error(120_014_023, 'Tracking number is invalid: {*}.'),
  carrierUnknown: error(120_014_022, 'Incorrect trackingNumber/carrierId. Please check and retry.'),
  warehouseMissing: error(120_015_527, 'Missing required parameter selfShippingWarehouseId'),
  warehouseInvalid: error(120_011_085, 'selfShippingWarehouseId is invalid, please have a check'),
  warehouseUnfinished: error(
    120_011_086,
    'Please fill in the warehouse management type and warehouse brand in the Temu seller center first. Then you can confirm shipment as usual.',
  ),
  quantity: error(120_013_002, 'Item quantity does not match.'),
  subQuantity: error(120_011_045, 'For splitSubPackage quantity needs to be 1.'),
  tooManySubs: error(120_011_098, 'A package is allowed to add a maximum of only 10 sub tracking numbers.'),
  notEditable: error(
    120_015_529,
    'The current package does not meet the modification conditions and cannot be edited.',
  ),
  subNotEditable: error(120_015_520, 'Call failed: Cannot convert subPackage to self-shipment.'),
  packageUnknown: error(
    120_018_027,
    'The packageSn is invalid. Please check the request area or if the packageSn is nonexistent etc.',
  ),
} as const satisfies Record<string, ApiError>;

/** The gateway's rejection of a parameter; its text has the path of the field. */
export function badParams(path: string): ApiError {
  return error(3_000_000, `BAD_PARAMS: ${path}`);
}

/** The error with the value in its text. */
export function naming({ errorCode, errorMsg }: ApiError, value: string): ApiError {
  return { errorCode, errorMsg: errorMsg.replace('{*}', value) };
}
