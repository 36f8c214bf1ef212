import { createHmac } from 'node:crypto';
import { Webhook } from 'standardwebhooks';

/**
 * C12: two signatures of one attempt, for receivers to choose from. The key of both is the whole text that `webhooks add`
 * printed, as bytes (decision 0047).
 *
 * - `Orderfleet-Signature: t=<Unix seconds>,v1=<hex>`, where v1 is the HMAC-SHA256 of `<t>.<body>`. A receiver computes it
 *   over the raw bytes of the body, compares in constant time, and refuses a `t` that is more than five minutes away from
 *   its own clock: each attempt is signed anew. There may be several `v1` in future; one match is enough.
 * - `webhook-id`, `webhook-timestamp` and `webhook-signature` as defined by Standard Webhooks, for existing verifiers.
 *
 * @param id the notice's: the same for each attempt, for deduplication
 */
export function signatureHeaders(secret: string, id: string, body: string, nowMs: number) {
  const t = `${Math.floor(nowMs / 1000)}`;
  return {
    'orderfleet-signature': `t=${t},v1=${createHmac('sha256', secret).update(`${t}.${body}`).digest('hex')}`,
    'webhook-id': id,
    'webhook-timestamp': t,
    'webhook-signature': new Webhook(Buffer.from(secret), { format: 'raw' }).sign(id, new Date(nowMs), body),
  };
}
