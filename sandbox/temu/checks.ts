import { isLosslessNumber } from 'lossless-json';
import type { ApiTable } from './apis.ts';
import type { ApiError, HostName, Shop } from './model.ts';
import { type Params, signatureOf } from './sign.ts';
import type { World } from './world.ts';

const error = (errorCode: number, errorMsg: string): ApiError => ({ errorCode, errorMsg });

/** Messages of common-error-codes and of recorded gateway failures. */
export const GATEWAY = {
  badParams: error(3_000_000, 'BAD_PARAMS'),
  signMissing: error(3_000_040, 'there is no sign in body.'),
  signInvalid: error(3_000_001, 'SIGN_UNVALID'),
  appKeyMissing: error(3_000_025, 'there is no app_key in body.'),
  appUnknown: error(4_000_000, 'The application information query is abnormal'),
  wrongRegion: error(120_011_072, 'The region of the store does not match the region of this endpoint.'),
  typeMissing: error(3_000_002, 'there is no type in body.'),
  typeUnknown: error(3_000_003, 'type not exists'),
  timestampMissing: error(3_000_010, 'there is no timestamp in body.'),
  timestampInvalid: error(3_000_011, 'timestamp is invalid.'),
  timestampExpired: error(3_000_012, 'timestamp is expired.'),
  dataTypeMissing: error(3_000_013, 'there is no data_type in body.'),
  dataTypeInvalid: error(3_000_014, 'data_type is invalid'),
  tokenMissing: error(3_000_030, 'there is no access_token in body.'),
  tokenUnknown: error(3_000_031, 'access_token not exists.'),
  tokenForeign: error(3_000_033, 'access_token and app_key are not mapping.'),
  tokenExpired: error(
    3_000_034,
    'access_token is expired or have been refreshed, please contact seller to share the new access_token with you.',
  ),
  noScope: error(
    3_000_032,
    "access_token don't have this api access, please ask for seller to authorize this api in seller center first，and share the new access_token with you.",
  ),
  throttled: error(4_000_004, 'too frequent requests, exceeding rate limit.'),
} as const satisfies Record<string, ApiError>;

/** Seconds that a request's clock may be off (common-parameters). */
const CLOCK_TOLERANCE_S = 300;

export type Checked = { shop: Shop; type: string } | { refused: ApiError };

/** Temu's gateway checks in its order: the sign before everything else (error-sop-3000001), then clock, token, scope. */
export function check(params: Params, host: HostName, world: World, apis: ApiTable): Checked {
  const early = checkApp(params, host, world) ?? checkCommon(params, world.clock.now(), apis);
  if (early) return { refused: early };
  return checkToken(params, host, world);
}

function checkApp(params: Params, host: HostName, world: World): ApiError | undefined {
  const { app_key: appKey, sign } = params;
  if (sign === undefined || sign === null || sign === '') return GATEWAY.signMissing;
  if (typeof appKey !== 'string' || appKey === '') return GATEWAY.appKeyMissing;
  const shops = world.shopsOfApp(appKey);
  const first = shops[0];
  // The secret belongs to the app: without a known app no sign can be checked.
  if (!first) return GATEWAY.appUnknown;
  if (!shops.some(({ hosts }) => hosts.includes(host))) {
    return first.wrongHostAnswer === 'unknownApp' ? GATEWAY.appUnknown : GATEWAY.wrongRegion;
  }
  return sign === signatureOf(params, first.appSecret) ? undefined : GATEWAY.signInvalid;
}

function checkCommon(params: Params, now: number, apis: ApiTable): ApiError | undefined {
  const { type, timestamp, data_type: dataType } = params;
  if (type === undefined || type === null || type === '') return GATEWAY.typeMissing;
  if (typeof type !== 'string' || !Object.hasOwn(apis, type)) return GATEWAY.typeUnknown;
  if (dataType === undefined || dataType === null) return GATEWAY.dataTypeMissing;
  if (typeof dataType !== 'string' || dataType.toUpperCase() !== 'JSON') return GATEWAY.dataTypeInvalid;
  if (timestamp === undefined || timestamp === null) return GATEWAY.timestampMissing;
  const text = isLosslessNumber(timestamp) ? timestamp.toString() : timestamp;
  if (typeof text !== 'string' || !/^\d{10}$/.test(text)) return GATEWAY.timestampInvalid;
  const ahead = Number(text) - now / 1000;
  if (ahead > CLOCK_TOLERANCE_S) return GATEWAY.timestampInvalid;
  return ahead < -CLOCK_TOLERANCE_S ? GATEWAY.timestampExpired : undefined;
}

function checkToken(params: Params, host: HostName, world: World): Checked {
  const { access_token: token, type } = params as { access_token: unknown; type: string };
  if (typeof token !== 'string' || token === '') return { refused: GATEWAY.tokenMissing };
  const shop = world.shopOfToken(token);
  if (!shop) return { refused: GATEWAY.tokenUnknown };
  if (shop.appKey !== params.app_key) return { refused: GATEWAY.tokenForeign };
  if (shop.revoked) return { refused: GATEWAY.tokenExpired };
  if (!shop.hosts.includes(host)) return { refused: GATEWAY.wrongRegion };
  const denied = shop.deniedTypes.includes(type) || (!shop.amountScope && type === 'bg.order.amount.query');
  return denied ? { refused: GATEWAY.noScope } : { shop, type };
}
