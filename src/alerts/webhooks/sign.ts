import { createHmac } from 'node:crypto';

/**
 * C12: `Orderfleet-Signature: t=<Unix seconds>,v1=<hex>`, where v1 is the HMAC-SHA256 of `<t>.<body>` with the endpoint's
 * secret (the whole text that `webhooks add` printed) as its key. A receiver computes it over the bytes of the body as
 * they came, compares in constant time, and refuses a `t` that is more than five minutes away from its own clock: each
 * try is signed anew. More than one `v1` may come one day; one that fits is enough.
 */
export const SIGNATURE_HEADER = 'orderfleet-signature';

export function sign(secret: string, body: string, nowMs: number): string {
  const t = Math.floor(nowMs / 1000);
  return `t=${t},v1=${createHmac('sha256', secret).update(`${t}.${body}`).digest('hex')}`;
}
