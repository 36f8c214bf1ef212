import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** What is done about a request; null: the connection is cut without an answer; 'hang': nothing ever comes. */
export type Reply = { status?: number; headers?: Record<string, string>; body?: string } | null | 'hang';

/** An HTTP server that keeps what it got and answers as it is told: a webhook's receiver, or Slack. */
export interface Receiver {
  url: string;
  received: Received[];
  /** Answers from now on; by default 200. */
  answers: (request: Received, nth: number) => Reply;
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const hanging = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      const one = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body };
      receiver.received.push(one);
      const reply = receiver.answers(one, receiver.received.length);
      if (reply === null) return void request.socket.destroy();
      if (reply === 'hang') return void hanging.add(response);
      response.writeHead(reply.status ?? 200, reply.headers ?? {}).end(reply.body ?? '');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: [],
    answers: () => ({}),
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return receiver;
}

export interface SlackPost {
  channel: string;
  text: string;
}

export const SLACK_TOKEN = 'xoxb-of-the-test';

/** Slack, as far as chat.postMessage goes: knows one token and refuses others with 200, as Slack does. */
export function asSlack(receiver: Receiver) {
  const posts: SlackPost[] = [];
  const refusals: Reply[] = [];
  const say = (answer: object): Reply => ({
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(answer),
  });
  receiver.answers = ({ path, headers, body }) => {
    if (path !== '/api/chat.postMessage') return say({ ok: false, error: 'unknown_method' });
    if (headers.authorization !== `Bearer ${SLACK_TOKEN}`) return say({ ok: false, error: 'invalid_auth' });
    const refusal = refusals.shift();
    if (refusal !== undefined) return refusal;
    const form = new URLSearchParams(body);
    posts.push({ channel: form.get('channel') ?? '', text: form.get('text') ?? '' });
    return say({ ok: true, ts: '1' });
  };
  return { posts, refuse: (...replies: Reply[]) => void refusals.push(...replies), say };
}
