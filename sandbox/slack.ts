import type { IncomingMessage, ServerResponse } from 'node:http';
import { parsedObject, type RequestHandler, readBody } from './http.ts';
import { type Answer, createHttpFaults, type HttpFaults, json, sendAnswer, strike } from './http-faults.ts';
import { createRecorder, type Recording } from './recorder.ts';
import type { SandboxClock } from './temu/world.ts';

export interface SlackMessage {
  /** Epoch milliseconds. */
  at: number;
  /** Slack's id of the message, as chat.postMessage returns it. */
  ts: string;
  channel: string;
  text: string;
  /** As sent, parsed; undefined when there were none. */
  blocks?: unknown;
  attachments?: unknown;
  threadTs?: string;
}

export interface SlackSettings {
  /** The accepted bot token. */
  token: string;
  /** Existing channels; null: any id. */
  channels: readonly string[] | null;
}

/** A stand-in for Slack's Web API: chat.postMessage and auth.test. */
export interface Slack {
  settings: SlackSettings;
  /** Posted messages, oldest first, including those whose response was lost. */
  messages: Recording<SlackMessage>;
  /** Method calls with the response: `ok`, Slack's error, or `fault:<kind>`. */
  calls: Recording<{ at: number; method: string; outcome: string }>;
  /** Rules by method (`on: 'chat.postMessage'`); `limited` is by default 429 with Retry-After 30. */
  faults: HttpFaults;
  reset(): void;
}

const PREFIX = '/slack/api';

export function createSlack(
  clock: SandboxClock,
  seed: number,
  mount: (prefix: string, handler: RequestHandler) => void,
): Slack {
  const settings: SlackSettings = { token: 'xoxb-demo-orderfleet', channels: null };
  const messages = createRecorder<SlackMessage>('Slack messages');
  const calls = createRecorder<{ at: number; method: string; outcome: string }>('calls of Slack');
  const faults = createHttpFaults(seed, 'slack');

  const post = (fields: Record<string, unknown>): Answer => {
    const { channel, text } = fields;
    if (typeof channel !== 'string' || channel === '') return failure('channel_not_found');
    if (settings.channels && !settings.channels.includes(channel)) return failure('channel_not_found');
    const [blocks, attachments] = [listOf(fields.blocks), listOf(fields.attachments)];
    if (blocks === 'invalid') return failure('invalid_blocks_format');
    if (attachments === 'invalid') return failure('invalid_attachments');
    if ((typeof text !== 'string' || text === '') && !blocks && !attachments) return failure('no_text');
    const at = clock.now();
    const ts = `${Math.floor(at / 1000)}.${String(messages.list().length + 1).padStart(6, '0')}`;
    const message: SlackMessage = {
      at,
      ts,
      channel,
      text: typeof text === 'string' ? text : '',
      ...(blocks && { blocks }),
      ...(attachments && { attachments }),
      ...(typeof fields.thread_ts === 'string' && { threadTs: fields.thread_ts }),
    };
    messages.add(message);
    return json({
      ok: true,
      channel,
      ts,
      message: { type: 'message', subtype: 'bot_message', text: message.text, ts, bot_id: 'B0DEMO' },
    });
  };

  const answer = (method: string, token: string | undefined, fields: Record<string, unknown>): Answer => {
    if (token === undefined) return failure('not_authed');
    if (token !== settings.token) return failure('invalid_auth');
    if (method === 'chat.postMessage') return post(fields);
    if (method === 'auth.test') return json({ ok: true, team: 'Demo', user: 'orderfleet', bot_id: 'B0DEMO' });
    return failure('unknown_method');
  };

  const handler = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const method = (request.url ?? '').split('?')[0]?.slice(PREFIX.length + 1) ?? '';
    const body = await readBody(request);
    if (body === undefined) return void response.destroy();
    const fields = fieldsOf(body, request.headers['content-type']);
    const token = tokenOf(request.headers.authorization, fields);
    const struck = faults.next(method);
    const note = (outcome: string): void => calls.add({ at: clock.now(), method, outcome });
    if (!struck) {
      const own = answer(method, token, fields);
      note(errorOf(own) ?? 'ok');
      sendAnswer(response, own);
      return;
    }
    note(`fault:${struck.fault.kind}`);
    strike(struck.fault, {
      response,
      hit: struck.hit,
      answer: () => answer(method, token, fields),
      limited: () => ({ ...failure('ratelimited', 429), headers: { 'retry-after': '30' } }),
      unauthorized: () => failure('invalid_auth'),
      wrongShapes: ['[]', 'null', '"ok"', '{}', '{"ok":"true"}', '{"ok":false}', '{"ok":true,"ts":null}'],
    });
  };
  mount(PREFIX, handler);
  return {
    settings,
    messages,
    calls,
    faults,
    reset: () => {
      messages.clear();
      calls.clear();
      faults.clear();
    },
  };
}

/** Slack returns errors with status 200. */
function failure(error: string, status = 200): Answer {
  return json({ ok: false, error }, status);
}

function errorOf({ body }: Answer): string | undefined {
  const { error } = JSON.parse(body) as { error?: string };
  return error;
}

/** Web API methods take JSON and forms alike. */
function fieldsOf(body: string, type = ''): Record<string, unknown> {
  if (type.startsWith('application/json')) return parsedObject(body) ?? {};
  return Object.fromEntries(new URLSearchParams(body));
}

function tokenOf(header: string | undefined, fields: Record<string, unknown>): string | undefined {
  if (header?.startsWith('Bearer ')) return header.slice('Bearer '.length);
  return typeof fields.token === 'string' ? fields.token : undefined;
}

/** Blocks come as a list, or in a form as its JSON text. */
function listOf(value: unknown): unknown[] | 'invalid' | undefined {
  if (value === undefined || value === '') return undefined;
  if (Array.isArray(value)) return value;
  if (typeof value !== 'string') return 'invalid';
  try {
    const parsed: unknown = JSON.parse(value);
    return Array.isArray(parsed) ? parsed : 'invalid';
  } catch {
    return 'invalid';
  }
}
