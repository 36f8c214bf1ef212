import { randomUUID } from 'node:crypto';
import type { Api } from './apis.ts';
import type { ApiError, HostName } from './model.ts';
import type { Rendered } from './render.ts';

const PREFIX: Record<HostName, string> = { eu: 'eu', us: 'us', global: 'gl' };

/** `eu-…`, `us-…` or `gl-…`, as in real responses. */
function requestId(host: HostName): string {
  return `${PREFIX[host]}-${randomUUID()}`;
}

/** An outer failure, at the gateway or of a flat call. */
export function failureText(host: HostName, { errorCode, errorMsg }: ApiError): string {
  return JSON.stringify({ success: false, requestId: requestId(host), errorCode, errorMsg });
}

/** The whole response of a call: flat or double, success or failure at either level. */
export function answerText(
  host: HostName,
  api: Pick<Api, 'envelope' | 'inner'>,
  rendered: Rendered,
  now: number,
): string {
  if ('ok' in rendered) {
    const result = api.envelope(host) === 'flat' ? rendered.ok : innerText(api, rendered.ok, now);
    return outerText(host, result);
  }
  const { inner, outer } = rendered;
  if (!inner) return failureText(host, outer ?? { errorCode: 4_000_000, errorMsg: 'SYSTEM_EXCEPTION' });
  const { errorCode, errorMsg } = inner;
  const time = api.inner.serverTime ? { serverTime: now } : {};
  const result = JSON.stringify({ result: null, success: false, errorCode, ...time, errorMsg });
  return outerText(host, result, outer);
}

function innerText({ inner }: Pick<Api, 'inner'>, result: string, now: number): string {
  const time = inner.serverTime ? `"serverTime":${Math.trunc(now)},` : '';
  return `{"result":${result},"success":true,"errorCode":${inner.errorCode},${time}"errorMsg":${JSON.stringify(inner.errorMsg)}}`;
}

function outerText(host: HostName, result: string, failure?: ApiError): string {
  const { errorCode, errorMsg } = failure ?? { errorCode: 1_000_000, errorMsg: '' };
  return `{"result":${result},"success":${!failure},"requestId":"${requestId(host)}","errorCode":${errorCode},"errorMsg":${JSON.stringify(errorMsg)}}`;
}
