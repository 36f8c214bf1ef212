import { appendFileSync, readFileSync } from 'node:fs';
import postgres, { type Sql } from 'postgres';
import { standInOf } from './couriers/catalogue.ts';
import type { CourierName } from './couriers/model.ts';
import { createRandom, type Random, seedOf } from './random.ts';

/** What the shipping app tells of a parcel: the awb-created event, version 1. */
export interface ParcelEvent {
  v: 1;
  orderId: string;
  awbNumber: string;
  carrier: string;
  /** ISO 8601. */
  bookedAt: string;
  bookingCourier: string;
}

export interface ShippingAppOptions {
  /** The fleet's Postgres, the app's only source of orders. */
  databaseUrl: string;
  /** Sends the event. If it throws, the same event is sent again at the next tick. */
  send: (event: ParcelEvent) => Promise<unknown> | unknown;
  /** Time between two ticks; default a second. */
  everyMs?: number;
  /** Parcels per tick; default 3. */
  perTurn?: number;
  seed?: number;
  /** Books a parcel with the carrier and returns its number; undefined: this carrier is not played. Default: made-up numbers. */
  label?: (carrier: string, order: ReadyOrder) => Promise<string | undefined>;
  /** File for its parcels; default: in memory only. */
  stateFile?: string;
}

export interface ShippingApp {
  /** Stops after the current tick. */
  stop(): Promise<void>;
  /** Every parcel ever created, oldest first, sent or not. */
  created(): ParcelEvent[];
}

/** One line of the state file. */
type Line = { created: ParcelEvent } | { sent: string };

/**
 * A stand-in for the seller's shipping app: every tick it creates parcels for a few orders that are ready, nearest deadline
 * first, each order only once. A parcel is stored before its event is sent.
 */
export function startShippingApp(options: ShippingAppOptions): ShippingApp {
  const { databaseUrl, send, everyMs = 1000, perTurn = 3, seed = 1, label, stateFile } = options;
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => undefined });
  const { created, unsent } = remembered(stateFile);
  const numbers = new Set([...created.values()].map(({ awbNumber }) => awbNumber));
  const remember = (line: Line): void => {
    if (stateFile !== undefined) appendFileSync(stateFile, `${JSON.stringify(line)}\n`, { mode: 0o600 });
  };

  const book = async (order: ReadyOrder): Promise<ParcelEvent> => {
    const random = createRandom(seedOf('parcel', seed, order.id));
    const carrier = random.weighted(
      CARRIERS[order.country ?? ''] ?? CARRIERS[order.region ?? 'EU'] ?? ABROAD,
    );
    const make = NUMBERS[carrier] as (random: Random) => string;
    let awbNumber = (await label?.(carrier, order)) ?? make(random);
    while (numbers.has(awbNumber)) awbNumber = make(random);
    numbers.add(awbNumber);
    const bookedAt = new Date().toISOString();
    return { v: 1, orderId: order.id, awbNumber, carrier, bookedAt, bookingCourier: carrier };
  };
  const handOver = async (event: ParcelEvent): Promise<void> => {
    unsent.delete(event.orderId);
    try {
      await send(event);
    } catch (error) {
      // To the end of the list, so that a rejected event does not block the others.
      unsent.set(event.orderId, event);
      throw error;
    }
    remember({ sent: event.orderId });
  };
  /** Parcels are created even while events cannot be sent. */
  const turn = async (): Promise<void> => {
    for (const order of await readyOrders(sql, [...created.keys()], perTurn)) {
      const event = await book(order);
      remember({ created: event });
      created.set(order.id, event);
      unsent.set(order.id, event);
    }
    for (const event of [...unsent.values()]) await handOver(event);
  };

  const pause = createPause();
  const running = (async () => {
    while (!pause.ended()) {
      await turn().catch((error: unknown) => {
        console.error(`shipping app: ${(error as Error).message}; tried again in ${everyMs} ms`);
      });
      await pause.wait(everyMs);
    }
    await sql.end({ timeout: 5 });
  })();
  return {
    stop: () => {
      pause.end();
      return running;
    },
    created: () => [...created.values()],
  };
}

export interface ReadyOrder {
  id: string;
  number: string;
  region: string | null;
  country: string | null;
}

async function readyOrders(
  sql: Sql,
  known: readonly string[],
  limit: number,
): Promise<readonly ReadyOrder[]> {
  return await sql<ReadyOrder[]>`
    select orders.id, orders.marketplace_order_id as number, temu_stores.region, temu_stores.country
    from orders left join temu_stores on temu_stores.id = orders.store_id
    where orders.source = 'temu' and orders.status = 'Ready for Shipping' and not (orders.id = any(${known}::uuid[]))
    order by orders.ship_by_date nulls last, orders.id
    limit ${limit}`;
}

type Weights = readonly (readonly [string, number])[];

const ABROAD: Weights = [
  ['dhl', 6],
  ['fedex', 2],
  ['ups', 2],
];
/** By country, else by region. */
const CARRIERS: Record<string, Weights> = {
  RO: [
    ['fancourier', 45],
    ['sameday', 27],
    ['dpd', 8],
    ['cargus', 7],
    ['gls', 7],
    ['dhl', 6],
  ],
  EU: [
    ['fancourier', 65],
    ['sameday', 20],
    ['dhl', 8],
    ['gls', 7],
  ],
};

/** With a check digit. */
function numberOf(courier: CourierName): (random: Random) => string {
  const { newNumber } = standInOf(courier);
  if (!newNumber) throw new Error(`${courier} makes no numbers`);
  return newNumber;
}

/** Letters and digits only: Temu rejects other characters. */
const NUMBERS: Record<string, (random: Random) => string> = {
  fancourier: (random) => random.digits(13),
  sameday: (random) => `1ONBLN${random.digits(9)}`,
  dhl: (random) => random.digits(10),
  gls: (random) => random.digits(11),
  dpd: (random) => `8${random.digits(10)}`,
  cargus: (random) => random.digits(10),
  fedex: numberOf('fedex'),
  ups: numberOf('ups'),
};

function remembered(stateFile: string | undefined) {
  const created = new Map<string, ParcelEvent>();
  const unsent = new Map<string, ParcelEvent>();
  for (const line of stateFile === undefined ? [] : linesOf(stateFile)) {
    if ('sent' in line) unsent.delete(line.sent);
    else {
      created.set(line.created.orderId, line.created);
      unsent.set(line.created.orderId, line.created);
    }
  }
  return { created, unsent };
}

function linesOf(file: string): Line[] {
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  // The last line is incomplete if the process was killed while writing; the next append starts a new line.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) appendFileSync(file, '\n');
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .flatMap(readLine);
}

function readLine(line: string): Line[] {
  try {
    return [JSON.parse(line) as Line];
  } catch {
    return [];
  }
}

/** A sleep that can be ended early. */
function createPause() {
  let over = false;
  let wake = (): void => undefined;
  return {
    ended: () => over,
    wait: (ms: number): Promise<void> =>
      over
        ? Promise.resolve()
        : new Promise((resolve) => {
            const timer = setTimeout(resolve, ms);
            wake = () => {
              clearTimeout(timer);
              resolve();
            };
          }),
    end: () => {
      over = true;
      wake();
    },
  };
}
