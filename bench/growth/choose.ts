import type { Measured, Row } from '../../docs/performance.ts';
import { createClaimer } from '../../src/tracking/engine/claim.ts';
import { startRun } from '../../src/tracking/index.ts';
import type { Context } from '../support/case.ts';
import { tidy } from '../support/tables.ts';
import type { Trade } from './disk.ts';
import { measuredOnce, once } from './rows.ts';

/** Claimed together, as jobs that come together are. */
const CLAIMED = 100;
const LEASE_MS = 60_000;

/** Settings that switch the trackers of the filled parcels on; nothing is requested. */
export const TRACKERS_ON = {
  TRACKERS: 'fan-courier,delhivery-b2c',
  ...{ FAN_COURIER_USERNAME: 'bench', FAN_COURIER_PASSWORD: 'bench', FAN_COURIER_CLIENT_ID: '1' },
  DELHIVERY_AUTH_TOKEN_B2C: 'bench',
};

/** Beginning a run of a tracker among all parcels in flight, and claiming its first batches. */
export async function choose({ stage }: Context, trades: readonly Trade[]): Promise<Measured> {
  const rows: Row[] = [];
  let most = 0;
  for (const { fleet, sql, parcels } of trades) {
    await tidy(sql);
    for (const tracker of fleet.trackers.filter(({ connection }) => connection)) {
      const [row] = await sql<{ n: number }[]>`
        select count(*)::int as n from tracked_parcels where tracker = ${tracker.name}`;
      const at = performance.now();
      const begun = await stage.measure(() => startRun(fleet, tracker));
      const ms = performance.now() - at;
      if (begun.result.is !== 'started') throw new Error(`${tracker.name}: ${begun.result.reason}`);
      const { runId, planned } = begun.result;
      const batches = Math.min(CLAIMED, Math.ceil(planned / tracker.courier.batch));
      const claimBatch = createClaimer(fleet, tracker, LEASE_MS);
      const claimedAt = performance.now();
      const claimed = await Promise.all(
        Array.from({ length: batches }, (_, no) => claimBatch({ v: 1, runId, no }, false)),
      );
      const claimMs = performance.now() - claimedAt;
      if (claimed.some((one) => one === undefined))
        throw new Error(`${tracker.name}: a batch was not claimed`);
      most = Math.max(most, begun.others);
      rows.push(
        once(`${tracker.name}, ${parcels.toLocaleString('en')} parcels stored`, {
          'in flight': row?.n ?? 0,
          planned,
          'run begun, ms': ms,
          'Postgres’ CPU, ms': (begun.cpu.postgres ?? 0) * 1_000,
          [`${CLAIMED} batches claimed, ms`]: claimMs,
        }),
      );
    }
  }
  return measuredOnce(
    {
      what: 'P10: beginning a run among all parcels in flight, and claiming its first batches (C3)',
      size: 'all parcels of the tracker that are due, oldest first; written as batches, the first 2,000 of which become jobs',
      rows,
      checked:
        'every parcel of the tracker was planned up to the most of a run, and every batch claimed once',
    },
    most,
  );
}
