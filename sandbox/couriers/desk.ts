import type { IncomingMessage, ServerResponse } from 'node:http';
import { type RequestHandler, readBody } from '../http.ts';
import {
  type Answer,
  createHttpFaults,
  type HttpFaults,
  limitedAnswer,
  sendAnswer,
  strike,
} from '../http-faults.ts';
import type { SandboxClock } from '../temu/world.ts';
import { type CallKind, type CourierLedger, createCourierLedger, type OpenEntry } from './ledger.ts';
import type { CourierName } from './model.ts';
import type { Account } from './tokens.ts';
import { type CourierLimit, createWindow } from './window.ts';

/** One request to a courier, its path without the API's prefix. */
export interface CourierCall {
  kind: CallKind;
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: string;
}

export interface DeskSettings {
  /** Of tracking requests; null: none. */
  limit: CourierLimit | null;
  loginLimit: CourierLimit | null;
  /** Delay before each response. */
  latencyMs: number;
}

/** An API: pure functions from requests to responses. */
export interface CourierApi<S extends DeskSettings = DeskSettings> {
  name: CourierName;
  /** The API's path prefix on the sandbox's server. */
  prefix: string;
  settings: S;
  account?: Account;
  kindOf(path: string): CallKind;
  /** The numbers in a tracking request. */
  numbersOf(call: CourierCall): string[];
  answer(call: CourierCall): Answer;
  unauthorized(kind: CallKind): Answer;
  limited: Answer;
  /** Malformed bodies that a careless parser would accept. */
  wrongShapes: readonly string[];
}

/** One courier's API in the sandbox, as tests and the control API use it. */
export interface CourierDesk<S extends DeskSettings = DeskSettings> {
  name: CourierName;
  /** May be changed at any time; applies from the next request on. */
  settings: S;
  faults: HttpFaults;
  ledger: CourierLedger;
  /** Logins and tokens; undefined for APIs without. */
  account: Account | undefined;
  /** Forgets the arrivals that the limits count. */
  resetWindow(): void;
}

/** The pipeline of every request to a courier: rate limit at arrival, body, faults, response. */
export function createDesk<S extends DeskSettings>(
  api: CourierApi<S>,
  seed: number,
  clock: Pick<SandboxClock, 'now'>,
): { desk: CourierDesk<S>; handler: RequestHandler } {
  const faults = createHttpFaults(seed, api.name);
  const ledger = createCourierLedger();
  const windows = { track: createWindow(), login: createWindow(), other: createWindow() };
  const { settings } = api;

  const limitOf = (kind: CallKind): CourierLimit | null =>
    kind === 'track' ? settings.limit : kind === 'login' ? settings.loginLimit : null;

  const handler = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const arrival = performance.now();
    response.setHeader('date', new Date(clock.now()).toUTCString());
    const url = new URL(request.url ?? '/', 'http://sandbox');
    const path = url.pathname.slice(api.prefix.length);
    const kind = api.kindOf(path);
    const limit = limitOf(kind);
    const allowed = limit === null || windows[kind].take(limit, arrival);
    const open = ledger.open(kind, arrival);
    response.once('close', () => open.ended(response.headersSent ? response.statusCode : null));

    const body = request.method === 'GET' ? '' : await readBody(request);
    if (settings.latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, settings.latencyMs));
    if (body === undefined || response.destroyed) {
      open.decided([], 'late');
      return;
    }
    const call: CourierCall = {
      kind,
      method: request.method ?? 'GET',
      path,
      query: url.searchParams,
      headers: request.headers,
      body,
    };
    respond(call, response, open, allowed ? null : limit);
  };

  const respond = (
    call: CourierCall,
    response: ServerResponse,
    open: OpenEntry,
    exceeded: CourierLimit | null,
  ): void => {
    const numbers = call.kind === 'track' ? api.numbersOf(call) : [];
    if (exceeded) {
      open.decided(numbers, 'limited');
      sendAnswer(response, limitedAnswer(api.limited, exceeded));
      open.ended(response.statusCode);
      return;
    }
    const struck = faults.next(call.kind, numbers);
    if (!struck) {
      const answer = api.answer(call);
      open.decided(numbers, outcomeOf(answer));
      sendAnswer(response, answer);
      open.ended(answer.status);
      return;
    }
    open.decided(numbers, `fault:${struck.fault.kind}`);
    strike(struck.fault, {
      response,
      hit: struck.hit,
      answer: () => api.answer(call),
      limited: () => api.limited,
      unauthorized: () => api.unauthorized(call.kind),
      wrongShapes: api.wrongShapes,
    });
    if (response.writableEnded) open.ended(response.statusCode);
  };

  const resetWindow = (): void => {
    for (const window of Object.values(windows)) window.reset();
  };
  return { desk: { name: api.name, settings, faults, ledger, account: api.account, resetWindow }, handler };
}

function outcomeOf({ status, limited }: Answer): string {
  if (limited) return 'limited';
  if (status < 400) return 'ok';
  return status === 401 ? 'unauthorized' : 'refused';
}

/** The response of Delhivery's AWS firewall: not JSON, and without Retry-After. */
export const FIREWALL: Answer = {
  status: 403,
  type: 'text/html',
  body: '<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n</body>\r\n</html>\r\n',
};
