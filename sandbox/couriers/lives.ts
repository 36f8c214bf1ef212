import { createRandom, type Random } from '../random.ts';
import { endOfIndianDay } from './india.ts';
import type { EventName, LifeName, Parcel, Scan } from './model.ts';

/** A scan so many milliseconds after the booking. */
type Planned = Pick<Scan, 'event' | 'place' | 'code' | 'onward'> & { offset: number };

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Failed attempts after which Delhivery allows another one. */
const FAILED_CODES = ['EOD-11', 'EOD-74', 'EOD-15', 'EOD-104', 'EOD-43', 'EOD-86', 'EOD-69', 'EOD-6'];

/** The default mix of most APIs: lives and their weights. */
export const MIX: Readonly<Record<LifeName, number>> = {
  delivered: 60,
  ndr: 12,
  rto: 8,
  cancelled: 4,
  notPicked: 2,
  lost: 1,
  destroyed: 1,
  neverFound: 2,
  foundLate: 4,
  sameDay: 0,
  strangeWord: 1,
  manifested: 5,
  locker: 0,
  uncollected: 0,
  redirected: 0,
  returnLeg: 0,
  redirectionLeg: 0,
};

/** Cached plans: a parcel is requested many times. */
const plans = new WeakMap<Parcel, Planned[]>();

function planOf(parcel: Parcel): Planned[] {
  const plan = plans.get(parcel) ?? makePlan(parcel);
  plans.set(parcel, plan);
  return plan;
}

/** All scans of a parcel's life, deterministic. No two scans are closer than two seconds. */
function makePlan(parcel: Parcel): Planned[] {
  const random = createRandom(parcel.seed);
  const plan = new Plan(random);
  LIFE[parcel.life](plan, random);
  if (parcel.life !== 'sameDay') return plan.scans;
  // It arrives before midnight in India, however late it was booked.
  const left = (endOfIndianDay(parcel.bookedAt) - parcel.bookedAt) * 0.9;
  const squeeze = Math.min(1, left / (plan.scans.at(-1) as Planned).offset);
  return plan.scans.map((scan) => ({ ...scan, offset: scan.offset * squeeze }));
}

/** The parcel's age at a time of the sandbox's clock; negative before the booking. */
export function lived({ bookedAt, addedAt, speed }: Parcel, now: number): number {
  return now <= addedAt ? now - bookedAt : addedAt - bookedAt + (now - addedAt) * speed;
}

/** The time of the sandbox's clock at which the parcel has this age. */
function momentOf({ bookedAt, addedAt, speed }: Parcel, offset: number): number {
  const before = addedAt - bookedAt;
  return Math.floor(offset <= before ? bookedAt + offset : addedAt + (offset - before) / speed);
}

/** When a parcel starts its way back, or to another address; undefined: never. */
export function leavesAt(parcel: Parcel): { is: 'return' | 'redirection'; at: number } | undefined {
  const start = planOf(parcel).find(({ event, onward }) => onward || event === 'rtoStarted');
  return start && { is: start.onward ? 'redirection' : 'return', at: momentOf(parcel, start.offset) };
}

/** The scans that the API has of a parcel at a time, oldest first; none: the API does not know the parcel. */
export function scansOf(parcel: Parcel, now: number): Scan[] {
  const { words } = parcel;
  const [first, last] = [words[0], words.at(-1)];
  if (first === undefined || last === undefined) return livedScans(parcel, now);
  if (last.unknown) return [];
  const before = livedScans(parcel, first.setAt);
  const place = before.at(-1)?.place ?? 'origin';
  const said = words
    .filter((word) => !word.unknown)
    .map((word): Scan => ({ event: word.event ?? 'strange', at: word.at, place, word }));
  return [...before, ...said];
}

function livedScans(parcel: Parcel, now: number): Scan[] {
  if (parcel.life === 'neverFound') return [];
  const age = lived(parcel, now);
  const plan = planOf(parcel);
  // Before a late one is registered, not even its manifest is visible.
  if (parcel.life === 'foundLate' && age < 8 * HOUR) return [];
  const scans: Scan[] = [];
  for (const { offset, ...scan } of plan) {
    if (offset > age) break;
    scans.push({ ...scan, at: momentOf(parcel, offset) });
    // E4: the rest happens under the other number
    if (scan.event === 'rtoStarted' && parcel.returnNumber !== undefined) break;
    if (scan.onward && parcel.redirectNumber !== undefined) break;
  }
  return scans;
}

class Plan {
  readonly scans: Planned[] = [];
  private offset = 0;
  private readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  /** The next scan, at least `from` and at most `to` after the one before. */
  add(event: EventName, place: Scan['place'], from: number, to: number, code?: string): void {
    this.offset += this.random.int(from, to);
    this.scans.push({ event, place, offset: this.offset, ...(code !== undefined && { code }) });
  }

  /** It is sent on to another address. */
  redirect(from: number, to: number): void {
    this.add('onTrip', 'hub', from, to);
    Object.assign(this.scans.at(-1) as Planned, { onward: true });
  }
}

type Live = (plan: Plan, random: Random) => void;

const LIFE: Record<LifeName, Live> = {
  manifested: manifest,
  // The manifest comes with the pickup: nothing was uploaded before.
  foundLate: deliver,
  neverFound: () => undefined,
  delivered: deliver,
  strangeWord: (plan) => {
    carry(plan);
    plan.add('strange', 'hub', 2 * HOUR, 20 * HOUR);
  },
  ndr: (plan, random) => {
    carry(plan);
    fail(plan, random, random.int(1, 2));
    // As recorded: sometimes the same delivery round succeeds 24 minutes later.
    if (random.chance(0.3)) plan.add('delivered', 'destination', 20 * MINUTE, 40 * MINUTE);
    else lastMile(plan);
  },
  rto: (plan, random) => {
    carry(plan);
    fail(plan, random, 3);
    goBack(plan, 2 * HOUR, DAY);
  },
  cancelled: (plan) => {
    manifest(plan);
    plan.add('notHandedOver', 'origin', HOUR, 20 * HOUR);
    plan.add('sellerCancelled', 'origin', MINUTE, 2 * MINUTE);
  },
  notPicked: (plan) => {
    manifest(plan);
    for (let day = 0; day < 3; day++) plan.add('notHandedOver', 'origin', 20 * HOUR, 28 * HOUR);
  },
  locker: (plan) => {
    toLocker(plan);
    plan.add('delivered', 'destination', 2 * HOUR, 3 * DAY);
  },
  uncollected: (plan) => {
    toLocker(plan);
    goBack(plan, 5 * DAY, 7 * DAY);
  },
  redirected: (plan) => {
    carry(plan);
    plan.redirect(2 * HOUR, 20 * HOUR);
    arrive(plan);
  },
  redirectionLeg: (plan) => {
    plan.add('pickedUp', 'hub', 2 * SECOND, MINUTE);
    arrive(plan);
  },
  returnLeg: (plan) => {
    plan.add('pickedUp', 'destination', 2 * SECOND, MINUTE);
    plan.add('onTrip', 'hub', 6 * HOUR, 2 * DAY);
    plan.add('outForDelivery', 'origin', 6 * HOUR, 2 * DAY);
    plan.add('delivered', 'origin', 30 * MINUTE, 8 * HOUR);
  },
  lost: (plan) => {
    carry(plan);
    plan.add('lost', 'hub', 4 * DAY, 9 * DAY);
  },
  destroyed: (plan) => {
    carry(plan);
    plan.add('destroyed', 'hub', DAY, 4 * DAY);
  },
  sameDay: (plan) => {
    manifest(plan);
    plan.add('pickedUp', 'origin', 20 * MINUTE, HOUR);
    plan.add('outForDelivery', 'destination', 20 * MINUTE, HOUR);
    plan.add('delivered', 'destination', 20 * MINUTE, HOUR);
  },
};

function manifest(plan: Plan): void {
  plan.add('manifested', 'origin', 2 * SECOND, MINUTE);
  plan.add('pickupScheduled', 'origin', 2 * MINUTE, 10 * MINUTE);
}

/** Manifest, pickup and the way to the destination, on a later day than the pickup. */
function carry(plan: Plan): void {
  manifest(plan);
  plan.add('pickedUp', 'origin', 2 * HOUR, 20 * HOUR);
  plan.add('atOrigin', 'origin', 10 * MINUTE, 2 * HOUR);
  plan.add('bagged', 'origin', 5 * MINUTE, 30 * MINUTE);
  plan.add('onTrip', 'origin', HOUR, 10 * HOUR);
  plan.add('tripArrived', 'hub', 4 * HOUR, DAY);
  plan.add('received', 'hub', 5 * MINUTE, 30 * MINUTE);
}

function deliver(plan: Plan): void {
  carry(plan);
  arrive(plan);
}

function arrive(plan: Plan): void {
  plan.add('atDestination', 'destination', 20 * HOUR, 40 * HOUR);
  lastMile(plan);
}

function lastMile(plan: Plan): void {
  plan.add('outForDelivery', 'destination', 3 * HOUR, 12 * HOUR);
  plan.add('delivered', 'destination', 20 * MINUTE, 8 * HOUR);
}

function toLocker(plan: Plan): void {
  carry(plan);
  plan.add('atDestination', 'destination', 20 * HOUR, 40 * HOUR);
  plan.add('outForDelivery', 'destination', 3 * HOUR, 12 * HOUR);
  plan.add('readyForPickup', 'destination', 20 * MINUTE, 8 * HOUR);
}

function goBack(plan: Plan, from: number, to: number): void {
  plan.add('rtoStarted', 'destination', from, to);
  plan.add('rtoInTransit', 'hub', 6 * HOUR, 2 * DAY);
  plan.add('rtoPending', 'origin', 6 * HOUR, 2 * DAY);
  plan.add('rtoOutForDelivery', 'origin', 2 * HOUR, DAY);
  plan.add('rtoDelivered', 'origin', 30 * MINUTE, 8 * HOUR);
}

function fail(plan: Plan, random: Random, times: number): void {
  plan.add('atDestination', 'destination', 20 * HOUR, 40 * HOUR);
  for (let attempt = 0; attempt < times; attempt++) {
    plan.add('outForDelivery', 'destination', 12 * HOUR, 20 * HOUR);
    plan.add('failedAttempt', 'destination', 30 * MINUTE, 8 * HOUR, random.pick(FAILED_CODES));
  }
}
