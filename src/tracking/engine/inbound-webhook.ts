import { sql } from 'drizzle-orm';
import type { Config } from '../../config/index.ts';
import type { Tx } from '../../db/client.ts';
import { isMomentary } from '../../lib/infrastructure.ts';
import { isParcelNumber } from '../../lib/numbers.ts';
import type { TrackingBase } from '../deps.ts';
import { type Tracker, trackingSettings } from '../registry.ts';
import type { NumberedScan, Scan, Webhook } from '../toolkit/courier.ts';
import { applyAnswer, countsOf } from './apply.ts';
import { lockParcels } from './lock-parcels.ts';
import { keyOf, lockNamed, type Named, newestByNumber } from './named-parcels.ts';

/** Attempts at a transaction that Postgres rolls back because of a concurrent one. */
const TRIES = 3;

/** C14: the endpoint of a courier's webhook. */
export interface CourierWebhook {
  /** The first of its paths. */
  name: string;
  headers: Webhook['headers'];
  /** The variable that holds the secret. */
  setting: string;
  /** undefined: not set, the endpoint is disabled. */
  secret: string | undefined;
  isTest: NonNullable<Webhook['isTest']>;
  /** The trackers whose parcels it may update, also ones that are off. */
  trackers: readonly Tracker[];
}

/** The endpoints of all couriers with a webhook, by each of their paths. */
export function courierWebhooks(config: Config, trackers: readonly Tracker[]): Map<string, CourierWebhook> {
  const given = config.read(trackingSettings);
  const addresses = new Map<string, CourierWebhook>();
  for (const tracker of trackers)
    for (const path of tracker.courier.webhook?.paths ?? []) {
      const { paths, headers, secret, isTest = () => false } = tracker.courier.webhook as Webhook;
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

/** What a webhook changed. `scans`: the numbers in it; `unknown`: those that match no parcel of this courier. */
interface WebhookCounts {
  scans: number;
  updated: number;
  unchanged: number;
  mismatched: number;
  unmapped: number;
  unknown: number;
}

/** C7: the scan that counts (`isNewer`) for each number, by `keyOf`, as each tracker reads it. */
type ScansByTracker = ReadonlyMap<Tracker, ReadonlyMap<string, Scan>>;

/**
 * C14: applies a courier's webhook in one transaction, with the same tables, forward-only rule and effects as a response
 * to a request (C4–C8, C12). So duplicates and late or out-of-order events do no harm, and the parcel is polled later.
 * @param body any JSON
 * @param statementMs statement timeout: the courier waits no longer for our response
 * @returns null when it has no number with a status
 * @throws what Postgres throws; then it was not applied, or the commit's result is unknown, and it may be sent again
 */
export async function applyWebhook(
  base: TrackingBase,
  { trackers }: CourierWebhook,
  body: unknown,
  statementMs: number,
): Promise<WebhookCounts | null> {
  const now = base.clock();
  const received = trackers.map((tracker): [Tracker, NumberedScan[]] => {
    const scans = tracker.courier.webhook?.read(body, now) ?? [];
    return [tracker, scans.filter(([number]) => keyOf(number) !== '')];
  });
  const numbers = received.flatMap(([, scans]) => scans.map(([number]) => number));
  if (numbers.length === 0) return null;
  const scans: ScansByTracker = new Map(received.map(([tracker, pairs]) => [tracker, newestByNumber(pairs)]));
  // a placeholder (NA, 0) matches no parcel, even if one was stored under it once
  const valid = numbers.filter(isParcelNumber);
  for (let tries = 1; ; tries++) {
    try {
      return await base.db.transaction(async (tx) => {
        await tx.execute(sql`select set_config('statement_timeout', ${String(statementMs)}, true)`);
        return await write(base, tx, scans, await lockNamed(tx, valid), now);
      });
    } catch (error) {
      if (tries === TRIES || !isMomentary(error)) throw error;
    }
  }
}

async function write(
  { log }: TrackingBase,
  tx: Tx,
  received: ScansByTracker,
  named: readonly Named[],
  now: number,
): Promise<WebhookCounts> {
  const unknown = new Set([...received.values()].flatMap((scans) => [...scans.keys()]));
  const counts = { scans: unknown.size, updated: 0, unchanged: 0, mismatched: 0, unmapped: 0 };
  for (const [tracker, scans] of received) {
    const matched = new Map<string, Scan>();
    for (const parcel of named.filter((one) => one.tracker === tracker.name)) {
      // a consignment may be named by the AWB of its master box instead of its LR number
      const names = tracker.courier.selection.number === 'lr' ? [parcel.lr, parcel.awb] : [parcel.awb];
      const name = names.map(keyOf).find((key) => scans.has(key) && isParcelNumber(key));
      if (name === undefined) continue;
      matched.set(parcel.id, scans.get(name) as Scan);
      unknown.delete(name);
    }
    if (matched.size === 0) continue;
    const parcels = await lockParcels(tx, tracker, [...matched.keys()]);
    const items = new Map(parcels.map(({ id, number }) => [number, matched.get(id) as Scan]));
    const { results, reopened } = await applyAnswer(tx, tracker, parcels, items, now);
    for (const change of reopened)
      log.warn({ tracker: tracker.name, ...change }, 'a parcel was updated after its final status'); // C7
    const own = countsOf(results.values());
    for (const count of ['updated', 'unchanged', 'mismatched', 'unmapped'] as const)
      counts[count] += own[count];
  }
  return { ...counts, unknown: unknown.size };
}
