import type { z } from 'zod';
import type { Failure, Result } from '../../lib/errors.ts';
import type { HttpResponse } from '../../lib/http.ts';
import type { Status } from '../engine/status.ts';

/**
 * Everything about one courier's tracking API: request, limits, selection, parsing and statuses (C15). A courier is one
 * file in `couriers/` whose default export is a `defineCourier({...})`; nothing else refers to it. The file is pure: it
 * builds requests and parses responses; other code sends them. How to add one: docs/add-a-courier.md.
 */
export interface Courier<S extends z.ZodRawShape = z.ZodRawShape> {
  /** The tracker's name: its queue is `tracking-<name>`, its limit `<NAME>_LIMIT`. Lower case, with hyphens. */
  name: string;
  /** Its display name: "Delhivery B2C". */
  title: string;
  selection: Selection;
  /** E9: what its numbers look like, where that is sure; undefined: any may be one. */
  numberForm?: NumberForm;
  /** Maximum numbers per request. */
  batch: number;
  /** Maximum parcels per run; undefined: all that are due. */
  mostPerRun?: number;
  /** From the start of one run to the start of the next, milliseconds. */
  everyMs: number;
  /** Request timeout, milliseconds. */
  timeoutMs: number;
  /**
   * Requests in any span of so many seconds, over all processes; undefined: only `atOnce` limits them. Use small spans:
   * 7 in 3 seconds, not 700 in 300. The environment's `<NAME>_LIMIT` overrides it.
   */
  limit?(settings: z.output<z.ZodObject<S>>): Limit | undefined;
  /** Requests a day at most, counted from midnight GMT; the environment's `<NAME>_DAILY_LIMIT` overrides it. */
  dailyLimit?: number;
  /** Concurrent requests, per process. */
  atOnce(settings: z.output<z.ZodObject<S>>): number;
  /** The environment's variables that it reads; each with `.describe(…)`, none required. */
  settings: S;
  /** How to send requests; undefined without credentials: the tracker is off then. */
  connect(settings: z.output<z.ZodObject<S>>): Connection | undefined;
  /**
   * Parses a response with any status but 401, 403, 429 and 5xx, which mean the same everywhere (or see `failureOf`).
   * @param asked the numbers of the request
   * @param now epoch milliseconds
   * @returns an item for each number in the response, by the number as requested (never by position); a missing number
   * was not found. Failures: `rejected` when the whole batch is refused, with several numbers or one: it is halved to
   * find the one at fault; `credentials` when the secret is refused; `throttled`; `malformed`.
   */
  read(response: HttpResponse, asked: readonly string[], now: number): Result<Map<string, Item>>;
  /**
   * E8: what an HTTP status that means the same everywhere (401, 403, 429, 5xx) means at this API, where that is something
   * else: a 403 that is a penalty, a 500 that is a wrong password.
   * @returns undefined: what it means everywhere. `throttled`: with `retryAfterMs`, if it is known
   */
  failureOf?(response: HttpResponse, of: 'login' | 'tracking'): Failure | undefined;
  /** What a `Scan.rawStatus` means by itself, for parcels that had it before the tables did (C6). */
  meaning(rawStatus: string): Status | 'unchanged' | undefined;
  /** C14: its webhook; undefined: none, or none that we accept. */
  webhook?: Webhook;
}

/**
 * C14: a courier's webhook. Couriers that share a path share its headers and secret too; each reads the bodies for its
 * own parcels.
 */
export interface Webhook {
  /** Sent to POST /webhooks/<path>, for each of these; the first one is its name in responses and logs. */
  paths: readonly [string, ...string[]];
  /** Headers that may carry the secret, in lower case; the value may begin with Bearer or Token. */
  headers: readonly [string, ...string[]];
  /** The variable among `settings` that holds the secret; without it the webhook is disabled. */
  secret: string;
  /**
   * Parses a body, which is any JSON; never throws.
   * @param now epoch milliseconds
   * @returns scans with the numbers in the body; entries without number or status are left out
   */
  read(body: unknown, now: number): NumberedScan[];
  /**
   * True for the courier's test request, which names no parcel: it gets a 200, and nothing happens.
   * @param body any JSON; null for an empty body
   */
  isTest?(body: unknown): boolean;
}

export type NumberedScan = readonly [number: string, scan: Scan];

export interface Limit {
  max: number;
  seconds: number;
}

/** C2: which parcels belong to this tracker. A parcel has one tracker: the first by `precedence`. */
export interface Selection {
  /** A text in the booking courier's name, in any case; a blank stands for a word's boundary: ' ups ', ' fan'. */
  courier: string;
  /** `primary`: orders from shopify, woocommerce, Outbound, other, Retailer; `other`: all others. */
  sources: 'primary' | 'other' | 'all';
  /** `awb`: parcels with an AWB and no LR number; `lr`: those with an LR number; `any-awb`: an AWB, LR or not. */
  number: 'awb' | 'lr' | 'any-awb';
  /** Lower ones first: a broker's name beside a carrier's ("Shiprocket Delhivery") is the broker's parcel. */
  precedence: number;
}

/** E9: the form of all numbers of all couriers that `Selection.courier` may mean, abroad as well; else there is none. */
export interface NumberForm {
  /** For people: "13 digits". */
  says: string;
  /** @param number in upper case */
  fits(number: string): boolean;
}

export interface Connection {
  access: Access;
  request(numbers: readonly string[]): CourierRequest;
  /** E7: changes by time; undefined: parcels are polled by number alone. */
  feed?: Feed;
}

/**
 * E7: a courier's list of what changed in a span of time, read once a run. Its scans are applied at once; what would end a
 * parcel, or is unmapped, is confirmed by number first: one event does not tell a delivery from one on the way back.
 */
export interface Feed {
  /** The longest span of one request, milliseconds. */
  windowMs: number;
  /** A run reads again from so long before the end of the last one: an event may appear in the list so much later. */
  overlapMs: number;
  /** A parcel that the feed has not named for so long is polled by number. */
  silentMs: number;
  /** @param page from 1 on */
  request(window: Window, page: number): CourierRequest;
  /** Parses a response, with the failures of `Courier.read`. */
  read(response: HttpResponse, now: number): Result<FeedPage>;
}

export interface FeedPage {
  scans: NumberedScan[];
  /** There is another page. */
  more: boolean;
}

export interface Window {
  from: Date;
  to: Date;
}

export interface CourierRequest {
  url: string;
  method: 'GET' | 'POST';
  headers?: Record<string, string>;
  body?: string;
}

/** C11: a permanent key, or a login for a token that the fleet shares. */
export interface Access {
  /**
   * How the secret is sent, in order of preference: after a 401 the next one is tried, and the one that works is
   * remembered.
   */
  schemes: readonly [Scheme, ...Scheme[]];
  /** A permanent key; '' where none is needed. */
  key?: string;
  login?: Login;
}

export type Scheme = (secret: string) => Record<string, string>;

export interface Login {
  request: CourierRequest;
  /**
   * Parses the login's response with any status but 429 and 5xx.
   * Failures: `credentials` when they are refused, or the account is locked; `malformed`.
   */
  read(response: HttpResponse): Result<Token>;
  /** The token is renewed so long before it expires, milliseconds. */
  renewBeforeMs: number;
}

export interface Token {
  value: string;
  /** By the clock of the response's Date, if it has one. */
  expiresAt: Date;
}

/** What a response says about one number. */
export type Item =
  | Scan
  /** C9: the API reports "no such parcel". */
  | { is: 'notFound'; why?: string }
  /**
   * C9: it will never return this parcel again: tracking stops, its last status stays. `onlyAfterMs`: only for parcels
   * booked longer ago than this; for younger ones it means "not found".
   */
  | { is: 'ended'; why: string; onlyAfterMs?: number };

export interface Scan {
  is: 'scan';
  /** Normalized: as it is looked up, and stored when unmapped: `UD-IN_TRANSIT`, `OFD`. */
  rawStatus: string;
  /** As stored in shipments.courier_status: for Delhivery B2C `ud-in_transit`. */
  courierStatus: string;
  /** C6: a status; `unchanged`: known, changes nothing; undefined: an unmapped status. */
  means: Status | 'unchanged' | undefined;
  /** The event's time; null when the response has none that can be read: see `evaluateScan` (C7). */
  at: Date | null;
  /** C8: the order's number as the courier knows it; compared unless absent, null or blank. */
  reference?: string | null;
  pickedUpAt?: Date | null;
  deliveredAt?: Date | null;
  rtoStartedAt?: Date | null;
  /** C6: what the history says before an unmapped status: it is applied, the unmapped status is kept beside it. */
  before?: Scan;
  /** E4: numbers under which the parcel goes on or goes back. */
  links?: readonly Link[];
}

/** E4: another number of the same parcel. `return`: back to the seller. `redirection`: on to the buyer. */
export interface Link {
  is: 'return' | 'redirection';
  number: string;
}

export const defineCourier = <S extends z.ZodRawShape>(courier: Courier<S>): Courier<S> => courier;
