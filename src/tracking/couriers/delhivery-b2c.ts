import { defineCourier } from '../toolkit/courier.ts';
import { b2cTable, bareToken, DELHIVERY_ERRORS, delhiveryToken, tokenScheme } from '../toolkit/delhivery.ts';
import { delhiveryWebhook, delhiveryWebhookToken, shipmentOf } from '../toolkit/delhivery-shipment.ts';
import { address, withQuery } from '../toolkit/http-helpers.ts';
import { byNumber, isObject, jsonOf, refusal, rowsOf } from '../toolkit/response.ts';

/**
 * Delhivery B2C: parcels of the primary sources, 50 per request
 * (https://one.delhivery.com/developer-portal/document/b2c/detail/order-tracking).
 */
export default defineCourier({
  name: 'delhivery-b2c',
  title: 'Delhivery B2C',
  selection: { courier: 'delhivery', sources: 'primary', number: 'awb', precedence: 20 },
  batch: 50,
  mostPerRun: 36_000,
  everyMs: 8 * 60_000,
  // half of the responses arrive within 130 ms, 99 % within 529 ms
  timeoutMs: 15_000,
  // 750 in 5 minutes are allowed per address: at most 707 leave in any 5 minutes
  limit: () => ({ max: 7, seconds: 3 }),
  // enough to use the whole limit with responses of four seconds
  atOnce: () => 10,
  settings: {
    DELHIVERY_URL: address()
      .default('https://track.delhivery.com/api/v1/packages/json/')
      .describe('URL of Delhivery’s tracking API for B2C parcels'),
    DELHIVERY_AUTH_TOKEN_B2C: delhiveryToken(),
    DELHIVERY_WEBHOOK_TOKEN: delhiveryWebhookToken(),
  },
  connect({ DELHIVERY_URL, DELHIVERY_AUTH_TOKEN_B2C }) {
    const key = bareToken(DELHIVERY_AUTH_TOKEN_B2C);
    if (!key) return undefined;
    return {
      access: { schemes: [tokenScheme], key },
      request: (numbers) => ({
        // verbose=0: without scans and consignee; has all that is read here, in a fifth of the bytes
        url: withQuery(DELHIVERY_URL, { waybill: numbers.join(','), verbose: '0' }),
        method: 'GET',
        headers: { accept: 'application/json' },
      }),
    };
  },
  meaning: b2cTable,
  webhook: delhiveryWebhook,
  read(response, asked, now) {
    const body = jsonOf(response);
    const list = isObject(body) && Array.isArray(body.ShipmentData) ? rowsOf(body.ShipmentData) : undefined;
    const found = (list ?? []).flatMap((entry) => {
      const parcel =
        isObject(entry) && isObject(entry.Shipment) ? shipmentOf(entry.Shipment, now) : undefined;
      return parcel && parcel[0] !== null ? [parcel] : [];
    });
    const refused = isObject(body) && (body.Error || body.error || body.rmk || body.Success === false);
    // an empty list: none was found; a list with nothing readable in it is malformed
    if (found.length === 0 && (refused || list?.length !== 0))
      return refusal('Delhivery B2C', response, asked, DELHIVERY_ERRORS);
    return byNumber('Delhivery B2C', asked, found);
  },
});
