import type { ApiError, HostName, SandboxOrder, Shop } from './model.ts';
import { integerOf } from './params.ts';
import { type ApiVersion, type Rendered, renderAmount, renderListItem, renderShipping } from './render.ts';
import type { Params } from './sign.ts';
import { updatedBetween, type World } from './world.ts';

export interface ApiCall {
  params: Params;
  shop: Shop;
  host: HostName;
  world: World;
}

/** One API type: its handler and its envelope (T15). */
export interface Api {
  envelope(host: HostName): 'flat' | 'double';
  /** Fields beside the inner result in the double envelope; they differ by call in the recorded responses. */
  inner: { errorCode: number; errorMsg: string | null; serverTime: boolean };
  handle(call: ApiCall): Rendered;
}

export type ApiTable = Record<string, Api>;

const double = (): 'double' => 'double';
const flat = (): 'flat' => 'flat';
/** v2 is flat in the recorded US response and double in the global host's. */
const byHost = (host: HostName): 'flat' | 'double' => (host === 'global' ? 'double' : 'flat');

const LIST_INNER = { errorCode: 0, errorMsg: 'SUC', serverTime: true };
const SHIPPING_INNER = { errorCode: 1_000_000, errorMsg: null, serverTime: false };

/** The order calls. Each sandbox copies the table (`{ ...orderApis }`), so that other modules can add theirs. */
export const orderApis: ApiTable = {
  'bg.order.list.get': { envelope: double, inner: LIST_INNER, handle: (call) => list(call, 'v1') },
  'bg.order.list.v2.get': { envelope: byHost, inner: LIST_INNER, handle: (call) => list(call, 'v2') },
  'bg.order.amount.query': { envelope: flat, inner: SHIPPING_INNER, handle: amount },
  'bg.order.shippinginfo.get': {
    envelope: double,
    inner: SHIPPING_INNER,
    handle: (call) => shipping(call, 'v1'),
  },
  'bg.order.shippinginfo.v2.get': {
    envelope: byHost,
    inner: SHIPPING_INNER,
    handle: (call) => shipping(call, 'v2'),
  },
};

/** A failure at the level where the called version reports it. */
function fail(version: ApiVersion, host: HostName, error: ApiError): Rendered {
  return version === 'v1' || host === 'global' ? { inner: error } : { outer: error };
}

function integer(params: Params, key: string): number | undefined {
  return integerOf(params[key]);
}

const RANGES = [
  ['updateAtStart', 'updateAtEnd', 'updatedAt'],
  ['createAfter', 'createBefore', 'createdAt'],
  ['parentConfirmTimeStart', 'parentConfirmTimeEnd', 'confirmedAt'],
  ['expectShipLatestTimeStart', 'expectShipLatestTimeEnd', 'shipBy'],
] as const;

interface ListQuery {
  page: number;
  size: number;
  ranges: { field: (typeof RANGES)[number][2]; start: number; end: number }[];
  status: number;
  regionId: number | undefined;
  sns: ReadonlySet<unknown> | undefined;
  byCreation: boolean;
}

/** Validates the parameters of the list call, with the codes of bg.order.list.v2.get's page. */
function readListQuery(params: Params): ListQuery | ApiError {
  const page = integer(params, 'pageNumber') ?? 1;
  const size = integer(params, 'pageSize') ?? 10;
  const status = integer(params, 'parentOrderStatus') ?? 0;
  const regionId = integer(params, 'regionId');
  if (!(page >= 1) || !(size >= 1 && size <= 100) || Number.isNaN(status) || Number.isNaN(regionId))
    return INVALID;
  const ranges: ListQuery['ranges'] = [];
  for (const [startKey, endKey, field] of RANGES) {
    const start = integer(params, startKey);
    const end = integer(params, endKey);
    if (start === undefined && end === undefined) continue;
    if (start === undefined || end === undefined) {
      return { errorCode: 140_020_013, errorMsg: `${start === undefined ? startKey : endKey} not passed in` };
    }
    for (const [key, value] of [
      [startKey, start],
      [endKey, end],
    ] as const) {
      if (!/^\d{10}$/.test(String(value))) {
        const errorMsg = `The format of ${key} is inaccurate and requires a second level timestamp`;
        return { errorCode: 140_020_014, errorMsg };
      }
    }
    if (start > end)
      return { errorCode: 140_020_012, errorMsg: `${endKey} needs to be greater than the ${startKey}` };
    ranges.push({ field, start, end });
  }
  const sns = params.parentOrderSnList;
  if (sns !== undefined && !(Array.isArray(sns) && sns.length <= 20)) return INVALID;
  const sortby = params.sortby ?? 'updateTime';
  if (sortby !== 'updateTime' && sortby !== 'createTime') return INVALID;
  return {
    page,
    size,
    ranges,
    status,
    regionId,
    sns: sns && new Set(sns),
    byCreation: sortby === 'createTime',
  };
}

const INVALID: ApiError = {
  errorCode: 140_020_005,
  errorMsg: 'Invalid parameter, Please correct and retry.',
};
/** The old version has one response for all wrong parameters (recorded). */
const INVALID_V1: ApiError = { errorCode: 1001, errorMsg: 'Invalid request parameters' };

/** bg.order.list.get and .v2.get: always descending, paged by number over the list as it is at this instant. */
function list({ params, shop, host, world }: ApiCall, version: ApiVersion): Rendered {
  const query = readListQuery(params);
  if ('errorCode' in query)
    return fail(version, host, version === 'v1' && query === INVALID ? INVALID_V1 : query);
  const sorted = world.orders(shop);
  const window = query.ranges.find(({ field }) => field === 'updatedAt');
  const [from, to] = window ? updatedBetween(sorted, window.start, window.end) : [0, sorted.length];
  const others = query.ranges.filter(({ field }) => field !== 'updatedAt');
  const filtered =
    others.length > 0 || query.status !== 0 || query.regionId !== undefined || query.sns || query.byCreation;
  const found = filtered ? sorted.slice(from, to).filter((order) => wanted(order, query, others)) : undefined;
  if (found && query.byCreation) found.sort((a, b) => b.createdAt - a.createdAt);
  const start = (query.page - 1) * query.size;
  const items = found
    ? found.slice(start, start + query.size)
    : sorted.slice(Math.min(to, from + start), Math.min(to, from + start + query.size));
  const texts = items.map((order) =>
    world.cached(order, `list ${version}`, () => renderListItem(order, version)),
  );
  return { ok: `{"totalItemNum":${found?.length ?? to - from},"pageItems":[${texts.join(',')}]}` };
}

function wanted(order: SandboxOrder, query: ListQuery, ranges: ListQuery['ranges']): boolean {
  if (query.status !== 0 && order.status !== query.status) return false;
  if (query.regionId !== undefined && order.regionId !== query.regionId) return false;
  if (query.sns && !query.sns.has(order.parentOrderSn)) return false;
  return ranges.every(({ field, start, end }) => {
    const value = order[field];
    return value !== null && value >= start && value <= end;
  });
}

function orderOf({ params, shop, world }: ApiCall): SandboxOrder | undefined {
  return typeof params.parentOrderSn === 'string' ? world.order(shop, params.parentOrderSn) : undefined;
}

/** bg.order.amount.query: one order per call. */
function amount(call: ApiCall): Rendered {
  if (call.params.parentOrderSn === undefined)
    return { outer: { errorCode: 7_000_000, errorMsg: 'BUSINESS_SERVICE_ERROR' } };
  const order = orderOf(call);
  if (!order) return { outer: { errorCode: 140_020_002, errorMsg: 'Order not found' } };
  return call.world.cached(order, 'amount', () => renderAmount(order));
}

/** bg.order.shippinginfo.get and .v2.get. */
function shipping(call: ApiCall, version: ApiVersion): Rendered {
  const order = orderOf(call);
  if (order) {
    const rendered = call.world.cached(order, `shipping ${version}`, () => renderShipping(order, version));
    // A flat response has only one level: an inner failure moves up.
    const single = version === 'v2' && call.host !== 'global' && 'inner' in rendered && !rendered.outer;
    return single && rendered.inner ? { outer: rendered.inner } : rendered;
  }
  if (version === 'v1') return { inner: { errorCode: 40_003, errorMsg: 'invalid param' } };
  return fail(version, call.host, { errorCode: 180_020_003, errorMsg: 'Invalid param' });
}
