import { setTimeout as sleep } from 'node:timers/promises';
import { type Failure, fail, ok, type Result } from '../lib/errors.ts';
import type { Http } from '../lib/http.ts';
import type { Log } from '../lib/log.ts';
import type { Metrics } from '../lib/metrics.ts';
import { NoSlot, type Quota, type RateLimitPolicy, type Slot } from '../quota/index.ts';
import { failureOf, readEnvelope } from './envelope.ts';
import { isUnknownApp } from './error-classes.ts';
import { signedBody, type TemuParams } from './sign.ts';

/** T17: the parts of an app key's rate limit while others wait, in order of precedence. */
export const TEMU_SHARES = [
  { name: 'awb', part: 0.5 },
  { name: 'orders', part: 0.35 },
  { name: 'pages', part: 0.15 },
] as const;
export type TemuShare = (typeof TEMU_SHARES)[number]['name'];

/** T17: what Temu allows each app key. */
export const temuPolicy = (perSecond: number): RateLimitPolicy => ({
  max: perSecond,
  perMs: 1_000,
  toleranceMs: 30,
  shares: TEMU_SHARES,
});

const both = (type: string) => ({ v1: type, v2: type });

/** The calls we make, by our name, with Temu's name in each version (T15). */
const TYPES = {
  orderList: { v1: 'bg.order.list.get', v2: 'bg.order.list.v2.get' },
  orderAmount: both('bg.order.amount.query'),
  orderShipping: { v1: 'bg.order.shippinginfo.get', v2: 'bg.order.shippinginfo.v2.get' },
  companies: both('bg.logistics.companies.get'),
  warehouses: both('bg.logistics.warehouse.list.get'),
  confirmShipment: both('bg.logistics.shipment.v2.confirm'),
  readShipment: both('bg.logistics.shipment.v2.get'),
  changeShipment: both('bg.logistics.shipment.shippingtype.update'),
} as const;
export type TemuApi = keyof typeof TYPES;

export type TemuHost = 'EU' | 'US' | 'GLOBAL';

/** A store with its decrypted secrets: in memory for the length of a job, never logged whole. */
export interface Store {
  id: string;
  name: string;
  region: TemuHost;
  country: string;
  appKey: string;
  appSecret: string;
  accessToken: string;
  warehouseId: string | null;
  apiVersion: 'v1' | 'v2';
  /** The secrets as stored: tells whether the row still has those that Temu refused. */
  sealed: { appSecret: string; accessToken: string };
}

export interface CallOptions {
  share: TemuShare;
  signal?: AbortSignal;
  /** If the rate limit has no slot within this time, the call is not made: `throttled`. Undefined: it waits. */
  patienceMs?: number | undefined;
  /** The call changes something at Temu. `beforeSend` runs just before the request leaves, and may prevent it. */
  effect?: { beforeSend(): Promise<void> };
}

export interface TemuClient {
  /**
   * One call for a store: waits for the rate limit, signs, sends, reads either envelope. Throttling is waited out; a
   * clock that differs is corrected once by the response's Date; another region's host is tried once and the one that
   * works is remembered (T15). A lost, garbled or undecided response is `transient`, or for a call with an effect
   * `unknownOutcome` (A6): then `transient` means that the request certainly did not reach Temu.
   * @throws the signal's reason; what `beforeSend` throws; the database's error when the rate limit's ledger is away.
   */
  call(store: Store, api: TemuApi, params: TemuParams, options: CallOptions): Promise<Result<unknown>>;
  /** Calls of a store that this process sent longer ago than this (3 s) and that have no response yet. */
  hanging(storeId: string, longerThanMs?: number): number;
}

/** Where the host that served a store's call is kept between processes. */
export interface HostMemory {
  get(storeId: string, api: TemuApi): Promise<TemuHost | undefined>;
  set(storeId: string, api: TemuApi, host: TemuHost): Promise<void>;
}

export interface TemuClientDeps {
  http: Http;
  quota: Quota;
  hosts: HostMemory;
  urls: Record<TemuHost, string>;
  timeoutMs: number;
  clock: () => number;
  metrics: Metrics;
  log: Log;
}

/** After "too fast" the whole account pauses for this long; the rate limit is per second. */
const THROTTLE_HOLD_MS = 1_000;
/** Then the caller gives up its slot and comes back later. */
const THROTTLE_TRIES = 10;
/** A call without a response for this long counts as hanging: Temu responds within a second. */
const HANGING_MS = 3_000;

/** An EU store's price call goes to the global host first; everything else to the store's own (T15). */
export const defaultHost = (region: TemuHost, api: TemuApi): TemuHost =>
  api === 'orderAmount' && region === 'EU' ? 'GLOBAL' : region;
export const otherHost = (region: TemuHost, host: TemuHost): TemuHost => {
  if (host !== region) return region;
  return region === 'GLOBAL' ? 'EU' : 'GLOBAL';
};

export function createTemuClient(deps: TemuClientDeps): TemuClient {
  /** Server time minus ours per host, in milliseconds: learned when a server rejects our timestamp. */
  const clockOffset = new Map<TemuHost, number>();

  /** When each call of a store that has no response yet was sent. */
  const open = new Map<string, Set<{ sentAt: number }>>();
  const openOf = (storeId: string) => {
    const calls = open.get(storeId) ?? new Set();
    open.set(storeId, calls);
    return calls;
  };
  const hanging = (storeId: string, longerThanMs = HANGING_MS) => {
    const since = performance.now() - longerThanMs;
    return [...openOf(storeId)].filter(({ sentAt }) => sentAt <= since).length;
  };

  async function attempt(
    store: Store,
    host: TemuHost,
    api: TemuApi,
    params: TemuParams,
    options: CallOptions,
  ) {
    const type = TYPES[api][store.apiVersion];
    for (let tries = 1; ; tries++) {
      const slot = await takeSlot(deps.quota, store.appKey, options);
      if (!slot) return { failure: { kind: 'throttled', message: 'rate limit reached' } as Failure };
      await options.effect?.beforeSend();
      const timestamp = Math.floor((deps.clock() + (clockOffset.get(host) ?? 0)) / 1000);
      const common = {
        type,
        app_key: store.appKey,
        access_token: store.accessToken,
        data_type: 'JSON',
        timestamp,
      };
      const sent = { sentAt: performance.now() };
      openOf(store.id).add(sent);
      const ended = deps.metrics.request('temu');
      const failed = (failure: Failure) => {
        ended(failure.kind);
        return { failure };
      };
      const answer = await deps.http
        .request({
          url: deps.urls[host],
          method: 'POST',
          api: 'temu',
          headers: { 'content-type': 'application/json' },
          body: signedBody({ ...common, ...params }, store.appSecret),
          timeoutMs: deps.timeoutMs,
          signal: options.signal,
        })
        .finally(() => {
          slot.answered(type);
          openOf(store.id).delete(sent);
        });
      if (!answer.ok) {
        const { failure } = answer;
        const lost = failure.kind === 'unknownOutcome' || options.effect !== undefined;
        return failed(
          failure.kind === 'transient' || !lost ? failure : { ...failure, kind: undecided(options) },
        );
      }
      const { status, headers, text } = answer.value;
      if (status === 429 || isThrottle(text)) {
        await deps.quota.hold(store.appKey, THROTTLE_HOLD_MS);
        deps.log.warn(
          { store: store.name, api: type, tries },
          'Temu: rate limit reached; the account is paused',
        );
        const tooFast = failed({ kind: 'throttled', message: 'Temu: too many requests' });
        if (tries < THROTTLE_TRIES) continue;
        return tooFast;
      }
      if (status !== 200)
        return failed({ kind: undecided(options), message: `Temu returned HTTP ${status}` });
      return { text, date: headers.date, ended };
    }
  }

  async function call(
    store: Store,
    api: TemuApi,
    params: TemuParams,
    options: CallOptions,
  ): Promise<Result<unknown>> {
    const usual = (await deps.hosts.get(store.id, api)) ?? defaultHost(store.region, api);
    let host = usual;
    let clockTried = false;
    let refusedBefore: Failure | undefined;

    for (;;) {
      const sent = await attempt(store, host, api, params, options);
      if (sent.failure) return { ok: false, failure: sent.failure };
      const read = readEnvelope(sent.text);
      const refusal = read.ok && read.value.kind === 'refused' ? read.value.refusal : undefined;
      // another region's host may know neither the app nor its token: only the store's own host can reject those
      const notMine =
        refusal !== undefined &&
        (refusal.errorClass === 'wrongRegion' ||
          isUnknownApp(refusal) ||
          (refusal.errorClass === 'credentials' && host !== store.region));
      const meant = refusal ? failureOf(refusal).kind : read.ok ? 'ok' : read.failure.kind;
      sent.ended(notMine ? 'wrong_region' : meant);
      if (!read.ok) return options.effect ? fail('unknownOutcome', read.failure.message) : read;

      if (
        refusal?.errorClass === 'clock' &&
        !clockTried &&
        sent.date &&
        !Number.isNaN(Date.parse(sent.date))
      ) {
        clockTried = true;
        clockOffset.set(host, Date.parse(sent.date) - deps.clock());
        deps.log.warn(
          { host, offsetMs: clockOffset.get(host) },
          'clock differs from Temu’s: using Temu’s time',
        );
        continue;
      }
      if (refusal && notMine) {
        // a region is about one order, while the store's list call works; an app or a token is always about the store
        const failure: Failure =
          refusal.errorClass === 'wrongRegion' && api !== 'orderList'
            ? { ...failureOf(refusal), kind: 'rejected' }
            : failureOf(refusal);
        if (refusedBefore) return { ok: false, failure: host === store.region ? failure : refusedBefore };
        refusedBefore = failure;
        host = otherHost(store.region, host);
        continue;
      }
      if (host !== usual) {
        await deps.hosts.set(store.id, api, host);
        deps.log.info({ store: store.name, api, host }, 'Temu: remembered the host that serves this API');
      }
      // "system error, try again" leaves open whether it was done: it is read back before any retry (A6)
      if (refusal?.errorClass === 'transient' && options.effect)
        return { ok: false, failure: { ...failureOf(refusal), kind: 'unknownOutcome' } };
      return refusal
        ? { ok: false, failure: failureOf(refusal) }
        : ok((read.value as { result: unknown }).result);
    }
  }

  return { call, hanging };
}

/** @returns undefined when there was none within the caller's patience */
async function takeSlot(
  quota: Quota,
  account: string,
  { share, signal, patienceMs }: CallOptions,
): Promise<Slot | undefined> {
  try {
    return await quota.take(account, share, signal, patienceMs);
  } catch (error) {
    if (error instanceof NoSlot) return undefined;
    throw error;
  }
}

/** A fault between sending and a readable response: harmless to repeat, unless the call has an effect. */
const undecided = (options: CallOptions) =>
  options.effect ? ('unknownOutcome' as const) : ('transient' as const);

/** A cheap check before the response is parsed: throttling must not cost more than the call. */
function isThrottle(text: string): boolean {
  if (text.length > 2_000 || !/4000004|110020007/.test(text)) return false;
  const read = readEnvelope(text);
  return read.ok && read.value.kind === 'refused' && read.value.refusal.errorClass === 'throttle';
}

/** Waits between tries of a call without effect, for callers that keep their slot meanwhile. */
export async function withRetries<T>(
  attempts: number,
  delayMs: (tries: number) => number,
  signal: AbortSignal,
  attempt: () => Promise<Result<T>>,
): Promise<Result<T>> {
  for (let tries = 1; ; tries++) {
    const result = await attempt();
    const again = !result.ok && (result.failure.kind === 'transient' || result.failure.kind === 'malformed');
    if (!again || tries >= attempts) return result;
    await sleep(delayMs(tries), undefined, { signal });
  }
}

/** A response that does not have the documented shape: treated like a garbled one. */
export const wrongShape = (api: TemuApi, detail: string) =>
  fail('malformed', `Temu's ${api} response: ${detail}`);
