import type { IncomingMessage, ServerResponse } from 'node:http';
import { isLosslessNumber } from 'lossless-json';
import type { Effects, Outcome, ShipmentClaim } from '../effects.ts';
import { readBody } from '../http.ts';
import type { RequestLog } from '../request-log.ts';
import type { Api, ApiTable } from './apis.ts';
import { check, GATEWAY } from './checks.ts';
import { answerText, failureText } from './envelope.ts';
import { type FaultAction, type Faults, takesEffect } from './faults.ts';
import { injectFault, send, type TransportFault } from './inject-fault.ts';
import type { ApiError, HostName } from './model.ts';
import { textOf } from './params.ts';
import type { Quota } from './quota.ts';
import type { Rendered } from './render.ts';
import { claimsOf } from './shipment-claims.ts';
import { type Params, parseParams } from './sign.ts';
import type { World } from './world.ts';

export interface RouterContext {
  world: World;
  faults: Faults;
  ledger: RequestLog;
  effects: Effects;
  quota: Quota;
  apis: ApiTable;
  latencyMs: number;
}

/** The handler of `POST /<host>/openapi/router`. Business failures are HTTP 200, as at Temu. */
export function createTemuRouter(context: RouterContext) {
  return async (host: HostName, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    response.setHeader('Date', new Date(context.world.clock.now()).toUTCString());
    const body = request.method === 'POST' ? await readBody(request) : undefined;
    if (request.destroyed && !request.complete) return;
    if (context.latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, context.latencyMs));
    if (body === undefined) {
      const status = request.method === 'POST' ? 413 : 405;
      context.ledger.record(entry(host, undefined, `status:${status}`));
      send(response, status, 'text/plain', `${status}\n`);
      return;
    }
    const params = parsed(body);
    const claims = params ? claimsOf(params, context.world) : [];
    const decision = decide(context, host, params, claims);
    context.ledger.record(entry(host, params, decision.outcome, claims));
    if ('text' in decision) send(response, 200, JSON_TYPE, decision.text);
    else injectFault(decision.fault, { response, hit: decision.hit, answer: decision.answer });
  };
}

type Decision = { outcome: string } & (
  | { text: string }
  | { fault: TransportFault; hit: number; answer: () => string }
);

/** Checks, quota, faults, then the call itself. */
function decide(
  context: RouterContext,
  host: HostName,
  params: Params | undefined,
  claims: readonly ShipmentClaim[],
): Decision {
  const { world, faults, quota, apis, effects } = context;
  const told = (outcome: Outcome, fault: string | null = null): void => {
    const shop = world.shopOfToken(textOf(params?.access_token) ?? '')?.name ?? null;
    effects.record({ at: world.clock.now(), shop, outcome, fault }, claims);
  };
  const refused = (error: ApiError, outcome = `error:${error.errorCode}`): Decision => {
    told(`refused:${error.errorCode}`);
    return { outcome, text: failureText(host, error) };
  };
  if (!params) return refused(GATEWAY.badParams);
  const checked = check(params, host, world, apis);
  if ('refused' in checked) return refused(checked.refused);
  const { shop, type } = checked;
  if (!quota.take(shop.appKey, performance.now())) return refused(GATEWAY.throttled, 'refused');

  const api = apis[type] as Api;
  const text = (rendered: Rendered): string => answerText(host, api, rendered, world.clock.now());
  const handle = (fault: string | null = null): Rendered => {
    const rendered = api.handle({ params, shop, host, world });
    const failure = failureOf(rendered);
    told(failure ? `refused:${failure.errorCode}` : 'accepted', fault);
    return rendered;
  };
  const parentOrderSns = parentsIn(params, claims);
  const trackingNumbers = claims.flatMap(({ trackingNumber }) => trackingNumber ?? []);
  const fault = faults.next({ type, host, appKey: shop.appKey, parentOrderSns, trackingNumbers });
  if (!fault) {
    const rendered = handle();
    return { outcome: outcomeOf(rendered), text: text(rendered) };
  }
  const { action, hit } = fault;
  const outcome = `fault:${action.kind}`;
  if (!takesEffect(action)) told('fault', action.kind);
  else if ('handled' in action) handle(action.kind);
  const failure = asFailure(action);
  if (failure) return { outcome, text: text(failure) };
  return { outcome, fault: action as TransportFault, hit, answer: () => text(handle(action.kind)) };
}

const JSON_TYPE = 'application/json;charset=UTF-8';

function parsed(body: string): Params | undefined {
  try {
    return parseParams(body);
  } catch {
    // Bad JSON, no object, or nested too deep for the parser.
    return undefined;
  }
}

/** Faults that are ordinary responses of Temu. */
function asFailure(action: FaultAction): Rendered | undefined {
  if (action.kind === 'throttle') return { outer: GATEWAY.throttled };
  if (action.kind === 'error') return { outer: action };
  if (action.kind === 'innerError') return { inner: action };
  return action.kind === 'bothErrors' ? { inner: action.inner, outer: action.outer } : undefined;
}

function failureOf(rendered: Rendered): ApiError | undefined {
  return 'ok' in rendered ? undefined : (rendered.outer ?? rendered.inner ?? GATEWAY.badParams);
}

function outcomeOf(rendered: Rendered): string {
  const failure = failureOf(rendered);
  return failure ? `error:${failure.errorCode}` : 'ok';
}

/** The orders that a call is about. */
function parentsIn(params: Params, claims: readonly ShipmentClaim[]): string[] {
  const own = textOf(params.parentOrderSn);
  return own === undefined ? claims.flatMap(({ parentOrderSn }) => parentOrderSn ?? []) : [own];
}

function entry(
  host: HostName,
  params: Params | undefined,
  outcome: string,
  claims: readonly ShipmentClaim[] = [],
) {
  const text = (value: unknown): string | null => textOf(value) ?? null;
  const page = params?.pageNumber;
  return {
    t: performance.now(),
    host,
    type: text(params?.type),
    appKey: text(params?.app_key),
    parentOrderSn: (params && parentsIn(params, claims)[0]) ?? null,
    page: isLosslessNumber(page) ? Number(page.toString()) : null,
    outcome,
  };
}
