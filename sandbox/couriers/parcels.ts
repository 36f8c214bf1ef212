import { createRandom, type Random, seedOf } from '../random.ts';
import type { SandboxClock } from '../temu/world.ts';
import { standInOf } from './catalogue.ts';
import { leavesAt, MIX, scansOf } from './lives.ts';
import { canonicalOf } from './meanings.ts';
import type { Canonical, CourierName, LifeName, Parcel, Word } from './model.ts';
import type { KnownParcels } from './stand-in.ts';

export interface ParcelSpec {
  api: CourierName;
  /** AWB, or LR number; default: a made-up one. */
  number?: string;
  /** The order's number; default: `ORD-` and the parcel's number. */
  reference?: string;
  /** Epoch milliseconds; default: now. Its life until now has run in real time. */
  bookedAt?: number;
  /** Default: delivered. */
  life?: LifeName;
  seed?: number;
}

export interface ParcelsSpec {
  api: CourierName;
  count: number;
  seed?: number;
  /** Booked in so many days before now, evenly; default 10. */
  days?: number;
  /** Lives and their weights; default: those of most APIs (lives.ts), and what the API has of its own. */
  mix?: Partial<Record<LifeName, number>>;
  /** Order numbers, one per parcel; default: as for one parcel. */
  references?: readonly string[];
}

/** What the API returns for a parcel, and the status that must follow. */
export interface ParcelTruth {
  number: string;
  /** False: the API does not know it. */
  known: boolean;
  /** The newest status of its scans (C4, C5); pending before the first. */
  status: Canonical;
  /** Epoch milliseconds of the newest scan. */
  at: number | null;
  /** The newest scan. */
  event: string | null;
}

/** The parcels of all couriers. */
export interface Parcels extends KnownParcels {
  /** Throws when the API has a parcel of that number. */
  add(spec: ParcelSpec): Parcel;
  /** Pure and seeded: the same options on an empty sandbox give the same parcels. */
  addMany(spec: ParcelsSpec): Parcel[];
  /** Parcels as they are, such as `recordedParcels()`; those of the same number are replaced. */
  put(parcels: readonly Parcel[]): void;
  /** Ends the parcel's life: the API returns exactly this, after its scans so far. Each call adds a scan. */
  setWord(number: string, word: Word, api?: CourierName): Parcel;
  /** Some APIs know another's parcels too (`alsoKnows`). */
  find(api: CourierName, number: string): Parcel | undefined;
  /** Throws when there is none. */
  get(number: string, api?: CourierName): Parcel;
  list(api?: CourierName): Parcel[];
  size(api?: CourierName): number;
  /** At the sandbox's time by default. Words set with `status` or `raw` have no meaning here. */
  truth(number: string, now?: number): ParcelTruth;
  /** The webhook body for its newest scan (C14); undefined before the first. Throws for couriers without a webhook. */
  push(number: string, api?: CourierName): unknown;
  clear(): void;
}

export function createParcels(clock: SandboxClock, speed: number): Parcels {
  const rooms = new Map<CourierName, Map<string, Parcel>>();
  const room = (api: CourierName): Map<string, Parcel> => {
    const found = rooms.get(api) ?? new Map<string, Parcel>();
    rooms.set(api, found);
    return found;
  };
  const get = (number: string, api?: CourierName): Parcel => {
    const found = (api ? [room(api)] : [...rooms.values()]).find((one) => one.has(number))?.get(number);
    if (!found) throw new Error(`no courier of the sandbox has a parcel "${number}"`);
    return found;
  };
  const add = (spec: ParcelSpec): Parcel => {
    const parcels = room(spec.api);
    const seed = spec.seed ?? seedOf('parcel', spec.api, spec.number ?? parcels.size);
    const number = spec.number ?? freeNumber(parcels, spec.api, createRandom(seed));
    if (parcels.has(number)) throw new Error(`${spec.api} has a parcel "${number}" already`);
    const now = clock.now();
    const bookedAt = spec.bookedAt ?? now;
    const parcel: Parcel = {
      api: spec.api,
      number,
      reference: spec.reference ?? `ORD-${number}`,
      bookedAt,
      addedAt: Math.max(now, bookedAt),
      speed,
      life: spec.life ?? 'delivered',
      seed,
      words: [],
    };
    parcels.set(number, parcel);
    addSecond(parcels, parcel);
    return parcel;
  };
  const addSecond = (parcels: Map<string, Parcel>, parcel: Parcel): void => {
    const { api, reference, speed } = parcel;
    const leaves = standInOf(api).secondNumbers ? leavesAt(parcel) : undefined;
    if (leaves === undefined) return;
    const { is, at: bookedAt } = leaves;
    const seed = seedOf(is, api, parcel.number);
    const number = freeNumber(parcels, api, createRandom(seed));
    parcel[is === 'return' ? 'returnNumber' : 'redirectNumber'] = number;
    const addedAt = Math.max(clock.now(), bookedAt);
    parcels.set(number, {
      api,
      number,
      reference,
      bookedAt,
      addedAt,
      speed,
      life: `${is}Leg`,
      seed,
      words: [],
    });
  };
  const list = (api?: CourierName): Parcel[] =>
    (api ? [room(api)] : [...rooms.values()]).flatMap((parcels) => [...parcels.values()]);

  return {
    add,
    addMany: (spec) => planned(spec, clock.now(), room(spec.api)).map(add),
    put: (parcels) => {
      for (const parcel of parcels) room(parcel.api).set(parcel.number, parcel);
    },
    setWord: (number, word, api) => {
      const parcel = get(number, api);
      const now = clock.now();
      parcel.words.push({ ...word, at: word.at ?? now, setAt: now });
      return parcel;
    },
    find: (api, number) => {
      const { alsoKnows } = standInOf(api);
      return room(api).get(number) ?? (alsoKnows && room(alsoKnows).get(number));
    },
    get,
    list,
    size: (api) => (api ? room(api).size : [...rooms.values()].reduce((sum, { size }) => sum + size, 0)),
    truth: (number, now = clock.now()) => {
      const parcel = get(number);
      const truth = truthOf(parcel, now);
      const { api, returnNumber, redirectNumber } = parcel;
      const back = returnNumber && truthOf(get(returnNumber, api), now);
      if (back && back.status === 'delivered') return { ...truth, status: 'rto', at: back.at };
      const on = redirectNumber && truthOf(get(redirectNumber, api), now);
      return on && on.status !== 'pending' ? { ...truth, status: on.status, at: on.at } : truth;
    },
    push: (number, api) => pushOf(get(number, api), clock.now()),
    clear: () => rooms.clear(),
  };
}

function truthOf(parcel: Parcel, now: number): ParcelTruth {
  const { meanings } = standInOf(parcel.api);
  const scans = scansOf(parcel, now);
  const last = scans.at(-1);
  let status: Canonical = 'pending';
  for (const { event, word } of scans) {
    const own = word === undefined || word.event !== undefined;
    status = (own ? canonicalOf(meanings, event) : null) ?? status;
  }
  return {
    number: parcel.number,
    known: last !== undefined,
    status,
    at: last?.at ?? null,
    event: last ? (last.word?.status ?? last.event) : null,
  };
}

function planned(spec: ParcelsSpec, now: number, taken: ReadonlyMap<string, Parcel>): ParcelSpec[] {
  const { api, count, seed = 1, days = 10, references } = spec;
  const random = createRandom(seedOf('parcels', api, seed));
  const mix = Object.entries(spec.mix ?? { ...MIX, ...standInOf(api).mix }) as [LifeName, number][];
  const numbers = new Map<string, unknown>(taken);
  return Array.from({ length: count }, (_, index): ParcelSpec => {
    const number = freeNumber(numbers, api, random);
    numbers.set(number, true);
    const reference = references?.[index];
    return {
      api,
      number,
      bookedAt: Math.floor(now - random.next() * days * DAY_MS),
      life: random.weighted(mix),
      seed: random.int(0, 0xffff_ffff),
      ...(reference !== undefined && { reference }),
    };
  });
}

const DAY_MS = 86_400_000;

function freeNumber(taken: ReadonlyMap<string, unknown>, api: CourierName, random: Random): string {
  const { newNumber = fourteenDigits } = standInOf(api);
  for (;;) {
    const number = newNumber(random);
    if (!taken.has(number)) return number;
  }
}

/** As AWBs were recorded. */
const fourteenDigits = (random: Random): string => random.digits(14);

function pushOf(parcel: Parcel, now: number): unknown {
  const { webhook } = standInOf(parcel.api);
  if (!webhook) throw new Error(`${parcel.api} has no webhook`);
  const scans = scansOf(parcel, now);
  return scans.length > 0 ? webhook.body(parcel, scans) : undefined;
}
