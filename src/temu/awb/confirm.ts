import type { Outcome } from '../../queue/handle.ts';
import { type ClaimedPush, markSending } from './claim.ts';
import { resolveCarrier, warehouseOf } from './logistics.ts';
import { onFailure, parked, settle, unmatched, type Work } from './outcome.ts';
import type { Package } from './plan.ts';
import { whyForbidden } from './warnings.ts';

/** The two calls that send parcels to Temu (A3): each is fenced before it leaves and settled by its response (A6). */

export const carrierOf = (push: ClaimedPush) => push.carrier ?? push.bookingCourier;

/** Confirms all parcels of an order in one call. */
export async function confirm(
  work: Work,
  pushes: readonly ClaimedPush[],
  sendType: 0 | 1,
  packages: readonly Package[],
): Promise<Outcome> {
  const { deps, store, order, signal } = work;
  const warehouse = await warehouseOf(deps, store, signal);
  if (!warehouse.ok) return await onFailure(work, pushes, warehouse.failure);
  const requests: unknown[] = [];
  for (const { parcel, contents } of packages) {
    const provider = await resolveCarrier(deps, store, parcel.carrier, order.pins, signal);
    if (!provider.ok) return await onFailure(work, pushes, provider.failure);
    if (!provider.value.ok) return await settle(work, pushes, unmatched(provider.value));
    requests.push({
      carrierId: numberOf(provider.value.id),
      trackingNumber: parcel.awbNumber,
      selfShippingWarehouseId: warehouse.value,
      orderSendInfoList: contents.map(({ orderSn, quantity }) => ({
        parentOrderSn: order.sn,
        orderSn,
        quantity,
      })),
    });
  }
  const answer = await deps.temu.call(
    store,
    'confirmShipment',
    { sendType, sendRequestList: requests },
    {
      share: 'awb',
      signal,
      patienceMs: work.fastPath?.patienceMs,
      effect: {
        beforeSend: () =>
          markSending(
            deps,
            work.claim,
            pushes.map(({ id }) => id),
          ),
      },
    },
  );
  return answer.ok
    ? await settle(work, pushes, { state: 'sent' })
    : await onFailure(work, pushes, answer.failure);
}

/** Re-booked: replaces the number of Temu's parcel. */
export async function updateTrackingNumber(
  work: Work,
  push: ClaimedPush,
  packageSn: string,
): Promise<Outcome> {
  const { deps, store, signal } = work;
  const forbidden = whyForbidden(work.order.warnings, carrierOf(push));
  if (forbidden) return await settle(work, [push], parked(forbidden, true));
  const warehouse = await warehouseOf(deps, store, signal);
  if (!warehouse.ok) return await onFailure(work, [push], warehouse.failure);
  const provider = await resolveCarrier(deps, store, carrierOf(push), work.order.pins, signal);
  if (!provider.ok) return await onFailure(work, [push], provider.failure);
  if (!provider.value.ok) return await settle(work, [push], unmatched(provider.value));
  const edit = {
    packageSn,
    trackingNumber: push.awbNumber,
    shipCompanyId: numberOf(provider.value.id),
    selfShippingWarehouseId: warehouse.value,
  };
  const answer = await deps.temu.call(
    store,
    'changeShipment',
    { editPackageRequestList: [edit] },
    { share: 'awb', signal, effect: { beforeSend: () => markSending(deps, work.claim, [push.id]) } },
  );
  if (!answer.ok) return await onFailure(work, [push], answer.failure);
  return answer.value === false
    ? await settle(
        work,
        [push],
        parked('Temu did not accept the new number: change it in Temu’s seller centre'),
      )
    : await settle(work, [push], { state: 'sent' });
}

/** Temu wants its ids as numbers; one beyond 2^53 stays exact as a bigint. */
const numberOf = (id: string): number | bigint | string =>
  !/^\d+$/.test(id) ? id : Number.isSafeInteger(Number(id)) ? Number(id) : BigInt(id);
