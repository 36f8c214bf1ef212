import { appendFileSync, readFileSync } from 'node:fs';
import postgres, { type Sql } from 'postgres';
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
  /** The fleet's Postgres: the app knows orders from there alone. */
  databaseUrl: string;
  /** Hands the event over. When it throws the same event comes again at the next turn. */
  send: (event: ParcelEvent) => Promise<unknown> | unknown;
  /** Time between two turns; default a second. */
  everyMs?: number;
  /** Parcels per turn; default 3. */
  perTurn?: number;
  seed?: number;
  /** Where it remembers its parcels; default: only as long as it runs. */
  stateFile?: string;
}

export interface ShippingApp {
  /** Ends after the turn that is under way. */
  stop(): Promise<void>;
  /** Every parcel it ever made, oldest first, handed over or not. */
  created(): ParcelEvent[];
}

/** One line of the state file. */
type Line = { created: ParcelEvent } | { sent: string };

/**
 * A stand-in for the seller's shipping app: every turn it makes parcels for a few orders that are ready, nearest
 * deadline first, each order once for all times. A parcel is remembered before it is told of.
 */
export function startShippingApp(options: ShippingAppOptions): ShippingApp {
  const { databaseUrl, send, everyMs = 1000, perTurn = 3, seed = 1, stateFile } = options;
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => undefined });
  const { created, unsent } = remembered(stateFile);
  const numbers = new Set([...created.values()].map(({ awbNumber }) => awbNumber));
  const remember = (line: Line): void => {
    if (stateFile !== undefined) appendFileSync(stateFile, `${JSON.stringify(line)}\n`, { mode: 0o600 });
  };

  const book = (order: ReadyOrder): ParcelEvent => {
    const random = createRandom(seedOf('parcel', seed, order.id));
    const carrier = random.weighted(CARRIERS[order.region ?? 'EU'] ?? ABROAD);
    const make = NUMBERS[carrier] as (random: Random) => string;
    let awbNumber = make(random);
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
      // Behind the others, so that one that nobody takes holds none of them up.
      unsent.set(event.orderId, event);
      throw error;
    }
    remember({ sent: event.orderId });
  };
  /** Parcels are made even while nobody takes the events. */
  const turn = async (): Promise<void> => {
    for (const order of await readyOrders(sql, [...created.keys()], perTurn)) {
      const event = book(order);
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

interface ReadyOrder {
  id: string;
  region: string | null;
}

async function readyOrders(
  sql: Sql,
  known: readonly string[],
  limit: number,
): Promise<readonly ReadyOrder[]> {
  return await sql<ReadyOrder[]>`
    select orders.id, temu_stores.region
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
const CARRIERS: Record<string, Weights> = {
  EU: [
    ['fancourier', 65],
    ['sameday', 20],
    ['dhl', 8],
    ['gls', 7],
  ],
};

/** Letters and digits alone, for Temu refuses other signs. */
const NUMBERS: Record<string, (random: Random) => string> = {
  fancourier: (random) => random.digits(13),
  sameday: (random) => `1ONBLN${random.digits(9)}`,
  dhl: (random) => random.digits(10),
  gls: (random) => random.digits(11),
  fedex: (random) => random.digits(12),
  ups: (random) => `1Z${random.digits(16, true)}`,
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
  // The last line is torn when the process was killed while writing; what stands after it begins a line of its own.
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

/** A wait that can be ended early. */
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
