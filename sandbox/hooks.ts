import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { type RequestHandler, readBody } from './http.ts';
import {
  createHttpFaults,
  type HttpFault,
  type HttpFaults,
  json,
  sendAnswer,
  strike,
} from './http-faults.ts';
import { createRecorder, type Recording } from './recorder.ts';
import type { SandboxClock } from './temu/world.ts';

export interface HookRequest {
  /** The receiver's name: the path after /hooks/. */
  hook: string;
  /** Epoch milliseconds. */
  at: number;
  method: string;
  headers: IncomingHttpHeaders;
  /** The raw body, for checking its signature. */
  body: string;
  /** Status of the response; null: none (yet). */
  status: number | null;
}

/** A webhook receiver under /hooks/NAME, for any name. */
export interface Hooks {
  url(hook: string): string;
  /** Every request, answered or not, oldest first. */
  requests: Recording<HookRequest>;
  /** Sets a hook's response for the next `times` requests (default: always); without a rule 200. Several calls queue up. */
  answer(hook: string, fault: HttpFault, times?: number): void;
  /** `on` is the hook's name. */
  faults: HttpFaults;
  reset(): void;
}

const PREFIX = '/hooks';

export function createHooks(
  clock: SandboxClock,
  seed: number,
  mount: (prefix: string, handler: RequestHandler) => void,
  url: () => string,
): Hooks {
  const requests = createRecorder<HookRequest>('webhooks');
  const faults = createHttpFaults(seed, 'hooks');

  const handler = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const hook = decodeURIComponent((request.url ?? '').split('?')[0]?.slice(PREFIX.length + 1) ?? '');
    const body = await readBody(request);
    if (body === undefined) return void response.destroy();
    const kept: HookRequest = {
      hook,
      at: clock.now(),
      method: request.method ?? '',
      headers: request.headers,
      body,
      status: null,
    };
    response.once('close', () => {
      kept.status = response.headersSent ? response.statusCode : null;
    });
    const struck = faults.next(hook);
    if (!struck) sendAnswer(response, json({ ok: true }));
    else
      strike(struck.fault, {
        response,
        hit: struck.hit,
        answer: () => json({ ok: true }),
        limited: () => ({ ...json({ error: 'slow down' }, 429), headers: { 'retry-after': '30' } }),
        unauthorized: () => json({ error: 'unauthorized' }, 401),
        wrongShapes: ['', 'null', '[]'],
      });
    if (response.writableEnded) kept.status = response.statusCode;
    requests.add(kept);
  };
  mount(PREFIX, handler);
  return {
    url: (hook) => `${url()}${PREFIX}/${encodeURIComponent(hook)}`,
    requests,
    answer: (hook, fault, times) =>
      void faults.add({ on: hook, do: fault, ...(times !== undefined && { times }) }),
    faults,
    reset: () => {
      requests.clear();
      faults.clear();
    },
  };
}
