import type { TransactionSql } from 'postgres';
import type { Config } from '../config.ts';
import { isMomentary } from '../infrastructure.ts';
import { cleanNumber, isParcelNumber } from '../numbers.ts';
import { applyAnswer, lockParcels } from './apply.ts';
import { type Tracker, trackingSettings } from './catalogue.ts';
import type { Push, Pushed, Scan } from './courier.ts';
import type { TrackingBase } from './deps.ts';
import { type Booked, courierOf } from './selection.ts';
import { isNewer } from './status.ts';

/** How often a transaction is tried that Postgres rolls back for another one's sake. */
const TRIES = 3;

/** C14: where a courier's pushes come in. */
export interface PushAddress {
  /** The first of its paths. */
  name: string;
  headers: Push['headers'];
  /** The variable that holds the secret. */
  setting: string;
  /** undefined: not set, the address is closed. */
  secret: string | undefined;
  isTest: NonNullable<Push['isTest']>;
  /** Whose parcels may be spoken of here; also trackers that ask for nothing, being switched off. */
  trackers: readonly Tracker[];
}

/** The addresses of all couriers that push, by each of their paths. */
export function pushAddresses(config: Config, trackers: readonly Tracker[]): Map<string, PushAddress> {
  const given = config.read(trackingSettings);
  const addresses = new Map<string, PushAddress>();
  for (const tracker of trackers)
    for (const path of tracker.courier.push?.paths ?? []) {
      const { paths, headers, secret, isTest = () => false } = tracker.courier.push as Push;
      addresses.set(path, {
        name: paths[0],
        headers,
        setting: secret,
        secret: given[secret] as string | undefined,
        isTest,
        trackers: [...(addresses.get(path)?.trackers ?? []), tracker],
      });
    }
  return addresses;
}

/** What became of a push. `scans` are numbers that it names; `unknown` of them are no parcel's of this courier. */
interface PushCounts {
  scans: number;
  updated: number;
  unchanged: number;
  mismatched: number;
  unmapped: number;
  unknown: number;
}

/** C7: of each number, by `keyOf`, the scan that counts (`isNewer`), as each tracker reads it. */
type Heard = ReadonlyMap<Tracker, ReadonlyMap<string, Scan>>;

/**
 * C14: applies what a courier sent on its own, in one transaction: by the same tables, the same forward-only rule and
 * with the same consequences as an answer (C4–C8, C12). So what is sent twice, late or out of order does no harm, and a
 * parcel that was heard of is asked for later.
 * @param body any JSON
 * @param statementMs after which a statement that waits is given up: nobody waits longer for the answer
 * @returns null when nothing in it can be read: no number with a status
 * @throws what Postgres throws; then it was not applied, or its end was not heard of, and it may be sent again
 */
export async function applyPush(
  base: TrackingBase,
  { trackers }: PushAddress,
  body: unknown,
  statementMs: number,
): Promise<PushCounts | null> {
  const now = base.clock();
  const pushed = trackers.map((tracker): [Tracker, Pushed[]] => {
    const scans = tracker.courier.push?.read(body, now) ?? [];
    return [tracker, scans.filter(([number]) => keyOf(number) !== '')];
  });
  const numbers = pushed.flatMap(([, scans]) => scans.map(([number]) => number));
  if (numbers.length === 0) return null;
  const heard: Heard = new Map(pushed.map(([tracker, scans]) => [tracker, newestByNumber(scans)]));
  // what stands for none (NA, 0) is unknown, whatever parcels of that name were stored once: it is no one of them
  const sound = numbers.filter(isParcelNumber);
  for (let tries = 1; ; tries++) {
    try {
      return await base.db.$client.begin(async (sql) => {
        await sql`select set_config('statement_timeout', ${String(statementMs)}, true)`;
        return await write(base, sql, heard, await lockNamed(sql, sound), now);
      });
    } catch (error) {
      if (tries === TRIES || !isMomentary(error)) throw error;
    }
  }
}

/** C4: numbers are the same in any case. */
const keyOf = (number: string | null) => cleanNumber(number ?? '').toUpperCase();

function newestByNumber(scans: readonly Pushed[]): Map<string, Scan> {
  const newest = new Map<string, Scan>();
  for (const [number, scan] of scans) {
    const other = newest.get(keyOf(number));
    if (!other || isNewer(scan, other)) newest.set(keyOf(number), scan);
  }
  return newest;
}

type Named = Booked & { id: string };

/** Everybody's parcels of these numbers, locked at once in the order of their ids, as batches lock theirs. */
async function lockNamed(sql: TransactionSql, numbers: readonly string[]): Promise<Named[]> {
  // the index knows a number as it was stored
  const spellings = numbers.flatMap((number) => [number, number.toUpperCase(), number.toLowerCase()]);
  return await sql<Named[]>`
    select s.id, s.awb_number as awb, s.lr_number as lr, s.booking_courier as "bookingCourier", o.source
    from shipments s join orders o on o.id = s.order_id
    where s.awb_number = any(${spellings}::text[]) or s.lr_number = any(${spellings}::text[])
    order by s.id for update of s`;
}

async function write(
  { trackers, log }: TrackingBase,
  sql: TransactionSql,
  heard: Heard,
  named: readonly Named[],
  now: number,
): Promise<PushCounts> {
  const couriers = trackers.map(({ courier }) => courier);
  const unknown = new Set([...heard.values()].flatMap((scans) => [...scans.keys()]));
  const counts = { scans: unknown.size, updated: 0, unchanged: 0, mismatched: 0, unmapped: 0 };
  for (const [tracker, scans] of heard) {
    const meant = new Map<string, Scan>();
    for (const parcel of named.filter((one) => courierOf(one, couriers) === tracker.courier)) {
      // of a consignment the AWB of its master box may be told instead of its LR number
      const names = tracker.courier.selection.number === 'lr' ? [parcel.lr, parcel.awb] : [parcel.awb];
      const name = names.map(keyOf).find((key) => scans.has(key) && isParcelNumber(key));
      if (name === undefined) continue;
      meant.set(parcel.id, scans.get(name) as Scan);
      unknown.delete(name);
    }
    if (meant.size === 0) continue;
    const parcels = await lockParcels(sql, tracker, [...meant.keys()]);
    const items = new Map(parcels.map(({ id, number }) => [number, meant.get(id) as Scan]));
    const { counts: own, reopened } = await applyAnswer(sql, tracker, parcels, items, now);
    for (const change of reopened)
      log.warn({ tracker: tracker.name, ...change }, 'a parcel goes on after its end'); // C7
    for (const count of ['updated', 'unchanged', 'mismatched', 'unmapped'] as const)
      counts[count] += own[count];
  }
  return { ...counts, unknown: unknown.size };
}
