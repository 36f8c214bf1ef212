import type { IncomingMessage, ServerResponse } from 'node:http';

/** Handler of everything under one path prefix. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Far above any real request to these APIs. */
const MAX_BODY_BYTES = 2 * 1024 * 1024;

/** The body as text; undefined when it is too large or the client disconnected while sending. */
export async function readBody(
  request: IncomingMessage,
  maxBytes = MAX_BODY_BYTES,
): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size <= maxBytes) chunks.push(chunk);
    }
  } catch {
    // The client disconnected while sending.
    return undefined;
  }
  return size > maxBytes ? undefined : Buffer.concat(chunks).toString('utf8');
}

/** An object that was sent as JSON; undefined for anything else. */
export function parsedObject(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    // Bad JSON, or nested too deep for the parser.
    return undefined;
  }
}
