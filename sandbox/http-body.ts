import type { IncomingMessage } from 'node:http';

/** Far above what any of these APIs is sent. */
const MAX_BODY_BYTES = 2 * 1024 * 1024;

/** The body as text; undefined when it is too large or the client went away while sending. */
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
    // The client went away while sending: there is nobody to answer.
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
