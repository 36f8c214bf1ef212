import type { OrdersBase } from '../orders/deps.ts';
import { type Claim, ClaimLost } from './ledger.ts';

/** How the error of a push begins that is history: neither a fault of the order nor a matter for people. */
export const REPLACED = 'replaced by ';

/**
 * Claimed pushes whose place a later booking has taken (A6); they have surely not been told.
 * @throws ClaimLost when another worker holds them now
 */
export async function settleReplaced(
  { db }: OrdersBase,
  claim: Claim,
  ids: readonly string[],
  by: string,
): Promise<void> {
  const settled = await db.$client`
    update temu_pushes set state = 'rejected', error = ${`${REPLACED}${by} before Temu was told`}, claim = null,
      told_at = null, offered_at = null, parked_order_time = null
    where id = any(${ids as string[]}::uuid[]) and claim = ${claim.token} and state = 'sending' returning 1`;
  if (settled.length !== ids.length) throw new ClaimLost();
}
