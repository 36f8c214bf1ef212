import type { OrdersBase } from '../orders/deps.ts';
import { type Claim, ClaimLost } from './ledger.ts';

/** For people, beside the state. */
export const whyReplaced = (by: string) => `replaced by ${by} before Temu was told`;

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
    update temu_pushes set state = 'replaced', error = ${whyReplaced(by)}, claim = null,
      told_at = null, offered_at = null, parked_order_time = null
    where id = any(${ids as string[]}::uuid[]) and claim = ${claim.token} and state = 'sending' returning 1`;
  if (settled.length !== ids.length) throw new ClaimLost();
}
