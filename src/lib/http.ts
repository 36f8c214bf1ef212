import { Agent, type Dispatcher } from 'undici';
import { fail, messageOf, ok, type Result } from './errors.ts';
import { notInTransaction } from './in-transaction.ts';
import type { Traces } from './traces.ts';
import { codingsOf, READABLE, TooLarge, Unreadable, unpack } from './unpack.ts';

export interface HttpRequest {
  url: string;
  method: 'GET' | 'POST';
  /** Whose API, for traces: temu, slack, webhook or a tracker's name. */
  api?: string;
  headers?: Record<string, string>;
  body?: string;
  /** From the first byte sent to the last byte received. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  status: number;
  /** Lower-case names; repeated headers are joined by ", ". Without content-encoding, since the body is decoded. */
  headers: Record<string, string>;
  text: string;
}

export interface Http {
  /**
   * One request. Redirects are not followed; the body is decompressed (gzip, deflate, br) and decoded as UTF-8, up to a
   * maximum size. Any status is a value.
   * Failures: `transient` when the request certainly did not reach the server (refused, unknown host); `malformed` when
   * the response cannot be read (too large, unsupported encoding, not UTF-8); `unknownOutcome` when the response was
   * lost, so that callers with side effects can check before they send again (A6).
   * @throws the signal's reason when the caller aborted.
   */
  request(request: HttpRequest): Promise<Result<HttpResponse>>;
  close(): Promise<void>;
}

/** Larger responses are rejected while they are received or decompressed (R4). */
export const MAX_BODY_BYTES = 10 * 1024 * 1024;
/**
 * So are responses with more values (R4): parsed as JSON, ten megabytes of [1,1,1…] or [{},{},{}…] take hundreds. Fifty
 * parcels with a hundred scans each are 35,000.
 */
const MAX_VALUES = 200_000;

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
  // 256 sockets a host: two for each slot of all queues of a process, so that hanging calls leave sockets to the others.
  // Keep-alive saves handshakes.
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
        // without it a server may use any encoding (RFC 9110, section 12.5.3)
        headers: { ...call.headers, 'accept-encoding': READABLE },
        body: call.body ?? null,
        signal,
      });
      return ok(await read(response, maxBodyBytes));
    } catch (error) {
      call.signal?.throwIfAborted();
      if (error instanceof Unreadable) return fail('malformed', `${where}: ${error.message}`);
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

/** @throws Unreadable, and undici's error when the connection is cut */
async function read(response: Dispatcher.ResponseData, max: number): Promise<HttpResponse> {
  const { 'content-encoding': packing, ...headers } = flatten(response.headers);
  const packed = await readBytes(response.body, max); // to the end, else the connection would never be reusable
  const codings = codingsOf(packing);
  const bytes = await unpack(packed, codings, max);
  if (hasManyValues(bytes)) throw new Unreadable(`the answer has more than ${MAX_VALUES} values`);
  if (codings.length > 0) delete headers['content-length'];
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return { status: response.statusCode, headers, text };
  } catch {
    throw new Unreadable('the answer is not valid UTF-8');
  }
}

async function readBytes(body: Dispatcher.ResponseData['body'], max: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += (chunk as Buffer).length;
    if (size > max) throw new TooLarge(max); // leaving the loop closes the connection
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** Counts commas, including the few inside texts. */
function hasManyValues(bytes: Buffer): boolean {
  if (bytes.length <= 2 * MAX_VALUES) return false;
  let commas = 0;
  for (const byte of bytes) if (byte === 0x2c) commas++;
  return commas > MAX_VALUES;
}

function flatten(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers)
      .filter((entry): entry is [string, string | string[]] => entry[1] !== undefined)
      .map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  );
}
