import { and, eq, exists, sql } from 'drizzle-orm';
import { recordset } from '../../db/recordset.ts';
import { shipments, trackedParcels, unmappedStatuses } from '../../db/schema/index.ts';
import type { TrackingBase } from '../deps.ts';
import { applyAnswer } from '../engine/apply.ts';
import { lockParcels } from '../engine/lock-parcels.ts';
import type { Tracker } from '../registry.ts';
import type { Scan } from '../toolkit/courier.ts';
import { statusMappingsOf } from './unmapped.ts';

const CHUNK = 500;

/** C6: applies mapped statuses to the parcels that have them. @returns how many parcels */
export async function remapStatuses(base: TrackingBase): Promise<number> {
  let parcels = 0;
  for (const tracker of base.trackers) {
    const showing = base.db
      .select({ one: sql`1` })
      .from(shipments)
      .where(and(eq(shipments.unmappedWord, unmappedStatuses.word), eq(shipments.unmappedBy, tracker.name)));
    const open = await base.db
      .select({ word: unmappedStatuses.word })
      .from(unmappedStatuses)
      .where(and(eq(unmappedStatuses.tracker, tracker.name), exists(showing)));
    if (open.length === 0) continue;
    const mappings = await statusMappingsOf(base.db, tracker.name);
    for (const { word } of open) {
      const means = mappings.get(word) ?? tracker.courier.meaning(word);
      if (means !== undefined) parcels += await remap(base, tracker, word, means);
    }
  }
  return parcels;
}

const {
  from,
  textOf,
  fields: before,
} = recordset('before', { id: shipments.id, askedAt: shipments.lastTrackedAt });

async function remap(
  { db, clock }: TrackingBase,
  tracker: Tracker,
  rawStatus: string,
  means: NonNullable<Scan['means']>,
): Promise<number> {
  let remapped = 0;
  for (;;) {
    const count = await db.transaction(async (tx) => {
      const { id, unmappedAt, lastTrackedAt } = shipments;
      const rows = await tx
        .select({ id, at: unmappedAt, askedAt: lastTrackedAt })
        .from(shipments)
        .where(and(eq(shipments.unmappedWord, rawStatus), eq(shipments.unmappedBy, tracker.name)))
        .orderBy(id)
        .limit(CHUNK)
        .for('update', { skipLocked: true });
      const parcels = await lockParcels(
        tx,
        tracker,
        rows.map(({ id }) => id),
      );
      const times = new Map(rows.map(({ id, at }) => [id, at]));
      // one by one: two parcels with the same number may have got it at different times
      for (const parcel of parcels) {
        const scan: Scan = {
          is: 'scan',
          rawStatus,
          courierStatus: rawStatus.toLowerCase(),
          means,
          at: times.get(parcel.id) ?? null,
        };
        await applyAnswer(tx, tracker, [parcel], new Map([[parcel.number, scan]]), clock());
      }
      // nothing was polled
      const asked = from(textOf(rows.map(({ id, askedAt }) => ({ id, askedAt }))));
      await tx
        .update(shipments)
        .set({ unmappedWord: null, unmappedAt: null, unmappedBy: null, lastTrackedAt: before.askedAt })
        .from(asked)
        .where(sql`${shipments.id} = ${before.id}`);
      await tx
        .update(trackedParcels)
        .set({ lastTrackedAt: before.askedAt })
        .from(asked)
        .where(sql`${trackedParcels.shipmentId} = ${before.id}`);
      return rows.length;
    });
    remapped += count;
    if (count < CHUNK) return remapped;
  }
}
