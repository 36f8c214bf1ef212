import type { z } from 'zod';
import type { Result } from '../errors.ts';
import type { HttpResponse } from '../http.ts';
import type { Status } from './status.ts';

/**
 * One courier's tracking API, whole: its call, limits, selection, reading and words (C15). A courier is one file in
 * `couriers/`, which exports one `defineCourier({...})` as its default; nothing else has to know of it. The file is
 * pure: it makes requests and reads answers, others send them. How to add one: docs/add-a-courier.md.
 */
export interface Courier<S extends z.ZodRawShape = z.ZodRawShape> {
  /** The tracker's name: its queue is `tracking-<name>`, its limit `<NAME>_LIMIT`. Lower case, with hyphens. */
  name: string;
  /** For people: "Delhivery B2C". */
  title: string;
  selection: Selection;
  /** Numbers in one request at most. */
  batch: number;
  /** Parcels of one run at most; undefined: all that are due. */
  mostPerRun?: number;
  /** From the start of one run to the start of the next, milliseconds. */
  everyMs: number;
  /** Until a request counts as lost, milliseconds. */
  timeoutMs: number;
  /**
   * Requests that may leave in any span of so many seconds, over all processes; undefined: as many as `atOnce` lets
   * through. Small spans: 7 in 3 seconds, not 700 in 300. The environment's `<NAME>_LIMIT` overrides it.
   */
  limit?(settings: z.output<z.ZodObject<S>>): Limit | undefined;
  /** Requests in work at once, per process. */
  atOnce(settings: z.output<z.ZodObject<S>>): number;
  /** The environment's variables that it reads; each with `.describe(…)`, none required. */
  settings: S;
  /** How to reach it; undefined without credentials: the tracker is off then. */
  connect(settings: z.output<z.ZodObject<S>>): Connection | undefined;
  /**
   * Reads an answer of any status but 401, 403, 429 and 5xx, which mean the same everywhere.
   * @param asked the numbers of the request
   * @param now epoch milliseconds
   * @returns what it says of each number that it speaks of, by the number as asked (never by position); a number that
   * is missing was not found. Failures: `rejected` when the whole batch is refused, with several numbers or one: it is
   * halved to find the one at fault; `credentials` when the secret is refused; `throttled`; `malformed`.
   */
  read(response: HttpResponse, asked: readonly string[], now: number): Result<Map<string, Item>>;
  /** What a word of `Scan.word` means by itself, for parcels that showed it before the tables had it (C6). */
  meaning(word: string): Status | 'unchanged' | undefined;
  /** C14: what it sends on its own; undefined: nothing, or nothing that we take. */
  push?: Push;
}

/**
 * C14: a courier's webhook. Couriers that share an address share its headers and its secret, too; each reads the bodies
 * for its own parcels.
 */
export interface Push {
  /** It comes to POST /webhooks/<path>, for each of these; the first one is its name in answers and logs. */
  paths: readonly [string, ...string[]];
  /** Headers that may carry the secret, in lower case; alone, or behind the word Bearer or Token. */
  headers: readonly [string, ...string[]];
  /** The variable among `settings` that holds the secret; without it the address is closed. */
  secret: string;
  /**
   * Reads a body, which is any JSON; never throws.
   * @param now epoch milliseconds
   * @returns each parcel's scan with the number that it names; what has no number or no status is left out
   */
  read(body: unknown, now: number): Pushed[];
  /**
   * True of what the courier sends to try the address, which names no parcel: it gets a 200, and nothing happens.
   * @param body any JSON; null for an empty body
   */
  isTest?(body: unknown): boolean;
}

export type Pushed = readonly [number: string, scan: Scan];

export interface Limit {
  max: number;
  seconds: number;
}

/** C2: which parcels are this tracker's. A parcel has one tracker: the first by `precedence`. */
export interface Selection {
  /** Text that the booking courier's name contains, in any case. */
  courier: string;
  /** `primary`: orders from shopify, woocommerce, Outbound, other, Retailer; `other`: all others. */
  sources: 'primary' | 'other' | 'all';
  /** `awb`: parcels with an AWB and no LR number; `lr`: those with an LR number; `any-awb`: an AWB, LR or not. */
  number: 'awb' | 'lr' | 'any-awb';
  /** Lower ones first: a broker's name beside a carrier's ("Shiprocket Delhivery") is the broker's parcel. */
  precedence: number;
}

export interface Connection {
  access: Access;
  request(numbers: readonly string[]): CourierRequest;
}

export interface CourierRequest {
  url: string;
  method: 'GET' | 'POST';
  headers?: Record<string, string>;
  body?: string;
}

/** C11: a key that stays, or a login that gives a token which is shared by the fleet. */
export interface Access {
  /**
   * How the secret is sent, in the order in which it is tried: with an API that refuses the first (401) the next one
   * is tried, and the one that works is remembered.
   */
  schemes: readonly [Scheme, ...Scheme[]];
  /** A key that stays; '' where none is needed. */
  key?: string;
  login?: Login;
}

export type Scheme = (secret: string) => Record<string, string>;

export interface Login {
  request: CourierRequest;
  /**
   * Reads the login's answer of any status but 429 and 5xx.
   * Failures: `credentials` when they are refused, or the account is locked; `malformed`.
   */
  read(response: HttpResponse): Result<Token>;
  /** It is fetched anew so long before it expires, milliseconds. */
  renewBeforeMs: number;
}

export interface Token {
  value: string;
  expiresAt: Date;
}

/** What an answer says of one number. */
export type Item =
  | Scan
  /** C9: the API's own form of "no such parcel". */
  | { is: 'notFound'; why?: string }
  /**
   * C9: it will never say anything more of this parcel: tracking stops, its last status stays. `onlyAfterMs`: true
   * only of parcels booked longer ago than this; of younger ones it means "not found".
   */
  | { is: 'ended'; why: string; onlyAfterMs?: number };

export interface Scan {
  is: 'scan';
  /** The courier's word in the form in which words are looked up and kept when unknown: `UD-IN_TRANSIT`, `OFD`. */
  word: string;
  /** As it is stored in shipments.courier_status: for Delhivery B2C `ud-in_transit`. */
  courierStatus: string;
  /** C6: a status; `unchanged`: known, changes nothing; undefined: a word that no table has. */
  means: Status | 'unchanged' | undefined;
  /** The event's time; null when the answer has none, or none that can be read: see `judge` for what follows (C7). */
  at: Date | null;
  /** C8: the order's number as the courier knows it, to be compared; absent, null or blank: it contradicts nothing. */
  reference?: string | null;
  pickedUpAt?: Date | null;
  deliveredAt?: Date | null;
  rtoStartedAt?: Date | null;
}

export const defineCourier = <S extends z.ZodRawShape>(courier: Courier<S>): Courier<S> => courier;
