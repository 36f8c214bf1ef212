import { Agent, type Dispatcher } from 'undici';
import { fail, messageOf, ok, type Result } from './errors.ts';
import { notInTransaction } from './in-transaction.ts';
import type { Traces } from './traces.ts';

export interface HttpRequest {
  url: string;
  method: 'GET' | 'POST';
  /** Whose API, for traces: temu, slack, webhook or a tracker's name. */
  api?: string;
  headers?: Record<string, string>;
  body?: string;
  /** From the first byte out to the last byte in. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  status: number;
  /** Lower-case names; a repeated header is joined by ", ". */
  headers: Record<string, string>;
  text: string;
}

export interface Http {
  /**
   * One request, no redirect followed, the body read as UTF-8 text up to the cap. Any status is a value.
   * Failures: `transient` when the request surely did not reach the server (refused, unknown host) or the call
   * has no effect to fear; the message says which of time-out, cut, too large, not UTF-8 it was. A request whose
   * answer was lost is `unknownOutcome`, so that callers with effects can ask before they send again (A6).
   * @throws the signal's reason when the caller aborted.
   */
  request(request: HttpRequest): Promise<Result<HttpResponse>>;
  close(): Promise<void>;
}

/** Answers larger than this are refused while they stream in (R4). */
export const MAX_BODY_BYTES = 10 * 1024 * 1024;

/** Codes of undici and Node for "no connection was made, nothing was sent". */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

const codeOf = (error: unknown): string =>
  error instanceof AggregateError && error.errors.length > 0
    ? codeOf(error.errors[0])
    : error instanceof Error && 'code' in error
      ? String(error.code)
      : '';

export function createHttp(options: { maxBodyBytes?: number; traces?: Traces | undefined } = {}): Http {
  const { maxBodyBytes = MAX_BODY_BYTES, traces } = options;
  // 256 sockets a host: all places of all queues of a process with two calls each, so that calls which hang leave
  // sockets to the others; keep-alive spares the handshakes.
  const agent = new Agent({
    connections: 256,
    pipelining: 1,
    keepAliveTimeout: 30_000,
    connect: { timeout: 5_000 },
  });

  async function send(call: HttpRequest): Promise<Result<HttpResponse>> {
    const deadline = AbortSignal.timeout(call.timeoutMs);
    const signal = call.signal ? AbortSignal.any([call.signal, deadline]) : deadline;
    const target = new URL(call.url);
    const where = `${call.method} ${target.host}${target.pathname}`;
    try {
      const response = await agent.request({
        origin: target.origin,
        path: target.pathname + target.search,
        method: call.method,
        headers: call.headers ?? {},
        body: call.body ?? null,
        signal,
      });
      const text = await readText(response.body, maxBodyBytes);
      if (text === 'tooLarge')
        return fail(
          'malformed',
          `${where}: the answer is larger than ${Math.round(maxBodyBytes / 1048576)} MB`,
        );
      if (text === 'notUtf8') return fail('malformed', `${where}: the answer is not valid UTF-8`);
      return ok({ status: response.statusCode, headers: flatten(response.headers), text: text.text });
    } catch (error) {
      call.signal?.throwIfAborted();
      if (deadline.aborted)
        return fail('unknownOutcome', `${where}: no complete answer within ${call.timeoutMs / 1000} s`);
      const code = codeOf(error);
      const text = `${where}: ${messageOf(error)}${code && !messageOf(error).includes(code) ? ` (${code})` : ''}`;
      return fail(NOT_SENT.has(code) ? 'transient' : 'unknownOutcome', text);
    }
  }

  return {
    async request(call) {
      notInTransaction('a request');
      return await (traces ? traces.outgoing(call, () => send(call), ended) : send(call));
    },
    close: () => agent.close(),
  };
}

const ended = (result: Result<HttpResponse>) =>
  result.ok ? { status: result.value.status } : { failure: result.failure.kind };

async function readText(body: Dispatcher.ResponseData['body'], max: number) {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += (chunk as Buffer).length;
    if (size > max) {
      body.destroy();
      return 'tooLarge' as const;
    }
    chunks.push(chunk as Buffer);
  }
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)) };
  } catch {
    return 'notUtf8' as const;
  }
}

function flatten(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers)
      .filter((entry): entry is [string, string | string[]] => entry[1] !== undefined)
      .map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  );
}
