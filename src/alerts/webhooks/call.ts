import { type Failure, fail } from '../../lib/errors.ts';
import type { Http } from '../../lib/http.ts';
import { askedFor } from '../../lib/retry-after.ts';
import { MOST_WAIT_MS } from '../deps.ts';
import type { Endpoint } from './endpoints.ts';
import { signatureHeaders } from './sign.ts';

/** A failed call; `trouble`: the endpoint itself is failing, not only this event refused. */
type CallFailure = Failure & { trouble: boolean; gone: boolean };
export type Called = { ok: true; status: number } | { ok: false; failure: CallFailure };

interface Call {
  /** The notice's id. */
  id: string;
  event: string;
  body: string;
  nowMs: number;
  timeoutMs: number;
  signal: AbortSignal | undefined;
}

/**
 * One signed request (see sign.ts). Any 2xx is success. The response body is ignored: it might repeat personal data, and
 * the reason is stored. Redirects are not followed.
 * @throws the signal's reason
 */
export async function callEndpoint(
  http: Http,
  endpoint: Pick<Endpoint, 'url' | 'secret'>,
  call: Call,
): Promise<Called> {
  const answer = await http.request({
    url: endpoint.url,
    method: 'POST',
    api: 'webhook',
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'user-agent': 'Orderfleet',
      'orderfleet-event': call.event,
      'orderfleet-event-id': call.id,
      ...signatureHeaders(endpoint.secret, call.id, call.body, call.nowMs),
    },
    body: call.body,
    timeoutMs: call.timeoutMs,
    signal: call.signal,
  });
  if (!answer.ok) return failed(answer.failure, true);
  const { status, headers } = answer.value;
  if (status >= 200 && status < 300) return { ok: true, status };
  if (status === 410) return failed(fail('rejected', 'HTTP 410 (Gone)').failure, true, true);
  if (status >= 300 && status < 400)
    return failed(fail('rejected', `HTTP ${status}: redirects are not followed`).failure, false);
  const wait = askedFor({ status, headers, text: '' }, call.nowMs, MOST_WAIT_MS);
  const trouble = status === 429 || status === 408 || status >= 500;
  const more = trouble && wait !== undefined ? { retryAfterMs: wait } : {};
  return failed(fail(trouble ? 'transient' : 'rejected', `HTTP ${status}`, more).failure, trouble);
}

const failed = (failure: Failure, trouble: boolean, gone = false): Called => ({
  ok: false,
  failure: { ...failure, trouble, gone },
});
