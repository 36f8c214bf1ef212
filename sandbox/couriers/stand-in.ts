import type { z } from 'zod';
import type { RequestHandler } from '../http.ts';
import type { Random } from '../random.ts';
import type { SandboxClock } from '../temu/world.ts';
import type { CourierApi, DeskSettings } from './desk.ts';
import type { Meanings } from './meanings.ts';
import type { CourierName, LifeName, Parcel, Scan } from './model.ts';
import type { Account, AccountSettings } from './tokens.ts';
import type { CourierLimit } from './window.ts';

/** An API's own settings with their defaults. */
export type Own = Readonly<Record<string, z.ZodDefault<z.ZodType>>>;
export type SettingsOf<S extends Own> = DeskSettings & { -readonly [K in keyof S]: z.output<S[K]> };

/**
 * One courier's simulated tracking API. Every file of apis/ is one: its default export is a `defineStandIn({...})`, and it
 * adds its settings to `SettingsOfApis`; nothing else refers to it.
 */
export interface StandIn<S extends Own = Own, A extends AccountSettings | undefined = undefined> {
  /** The tracker's name, also the file's. */
  name: CourierName;
  /** Position in lists, lowest first; those without follow by name. */
  order?: number;
  /** The API's path prefix on the sandbox's server. */
  prefix: string;
  settings: S;
  /** Of tracking requests, and of logins; default: none. */
  limit?: CourierLimit;
  loginLimit?: CourierLimit;
  /** Its user; absent for an API without logins. */
  account?: A;
  /** The fleet's environment variables for this API, from its current settings. */
  env: Readonly<Record<string, (here: Here<S, A>) => string>>;
  /** How its parcels are booked: courier and source of their orders (C2). */
  booking: { courier: string; source: string /** Their number is an LR number. */; lr?: boolean };
  /** A made-up number; default: fourteen digits. */
  newNumber?: (random: Random) => string;
  /** Meanings of events that differ from most APIs (meanings.ts). */
  meanings?: Meanings;
  /** E4: its parcels go back, and on to other addresses, under numbers of their own. */
  secondNumbers?: boolean;
  /** Weights of lives that differ from most APIs (lives.ts). */
  mix?: Partial<Record<LifeName, number>>;
  /** It knows that API's parcels too. */
  alsoKnows?: CourierName;
  /** Recorded items of it; see recorded.ts. @param read a file of tests/fixtures/couriers, without `.json` */
  recorded?: (read: (file: string) => Json) => RecordedItem[];
  /** Its webhook (C14). */
  webhook?: Webhook;
  /** Opens the API; it responds by its current settings. Pure but for the account. */
  open(context: OpenContext<S, A>): Pick<CourierApi, Answering>;
}

type Answering = 'kindOf' | 'numbersOf' | 'answer' | 'unauthorized' | 'limited' | 'wrongShapes';
export type Json = { readonly [key: string]: unknown };
// biome-ignore lint/suspicious/noExplicitAny: of any settings, with or without an account
export type AnyStandIn = StandIn<any, any>;

/** What an API finds under a number (parcels.ts). */
export interface KnownParcels {
  find(api: CourierName, number: string): Parcel | undefined;
  /** All of one API, for those that answer by time (E7). */
  list(api: CourierName): Parcel[];
}

interface Here<S extends Own, A> {
  /** The sandbox's URL with the prefix. */
  url: string;
  settings: SettingsOf<S>;
  /** undefined where the definition has none. */
  account: A extends AccountSettings ? AccountSettings : undefined;
}

export interface OpenContext<S extends Own, A> {
  clock: SandboxClock;
  parcels: KnownParcels;
  settings: SettingsOf<S>;
  account: A extends AccountSettings ? Account : undefined;
}

/** A courier's webhook for a parcel's newest scan. */
export interface Webhook {
  /** Display name of the sender. */
  who: string;
  /** Below the configured URL. */
  path: string;
  /** Sent as `x-api-key`. */
  secret: string;
  /** Attempts until a 200. */
  tries: number;
  /** @param scans at least one, the newest last */
  body(parcel: Parcel, scans: readonly Scan[]): unknown;
}

export interface RecordedItem {
  number: unknown;
  /** The order's number; if not a string: derived from the parcel's. */
  reference?: unknown;
  /** Epoch milliseconds. */
  at: number;
  /** The item verbatim, as `Word.raw`. */
  raw: unknown;
}

export const defineStandIn = <S extends Own, A extends AccountSettings | undefined = undefined>(
  standIn: StandIn<S, A>,
): StandIn<S, A> => standIn;

/** Serves everything below a path. */
export type Mount = (prefix: string, handler: RequestHandler) => void;
