import type { ServerResponse } from 'node:http';
import { stringify } from 'lossless-json';
import type { FaultAction } from './faults.ts';

/** `answer` is called only for the response's text: `handled` faults without one took effect before. */
export interface FaultTarget {
  response: ServerResponse;
  /** How often the rule had applied before. */
  hit: number;
  /** Lets the call take effect and returns its regular response. */
  answer: () => string;
  /** Wrong shapes that a careless parser accepts for this API; default: Temu's. */
  wrongShapes?: readonly string[];
}

export function send(
  response: ServerResponse,
  status: number,
  type: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), ...headers });
  response.end(body);
}

const JSON_TYPE = 'application/json;charset=UTF-8';

/** Wrong shapes that a careless parser accepts. */
const WRONG_SHAPES = [
  '[]',
  'null',
  '"success"',
  '42',
  '{}',
  '{"success":"yes","errorCode":"1000000"}',
  '{"success":true,"errorCode":1000000}',
  '{"success":true,"errorCode":1000000,"result":[]}',
  '{"success":true,"errorCode":1000000,"result":{"result":"x","success":true}}',
  '{"success":true,"errorCode":1000000,"result":{"totalItemNum":"many","pageItems":{"0":null}}}',
  '{"success":true,"errorCode":1000000,"result":{"parentOrderMap":[],"orderList":7}}',
];

/** Faults that are ordinary responses of Temu, sent by the router. */
type AnswerFault = Extract<FaultAction, { kind: 'throttle' | 'error' | 'innerError' | 'bothErrors' }>;
export type TransportFault = Exclude<FaultAction, AnswerFault>;

const ACTS: {
  [K in TransportFault['kind']]: (action: Extract<TransportFault, { kind: K }>, on: FaultTarget) => void;
} = {
  cut: (_, { response }) => response.destroy(),
  lostAnswer: (_, { response, answer }) => {
    answer();
    response.destroy();
  },
  answerThenCut: (_, { response, answer }) => cutInTheMiddle(response, answer()),
  timeout: ({ ms }, { response }) => later(response, ms, () => response.destroy()),
  delay: ({ ms, late }, { response, answer }) => {
    if (late) return void setTimeout(() => sendIfThere(response, answer()), ms).unref();
    const text = answer();
    later(response, ms, () => send(response, 200, JSON_TYPE, text));
  },
  html: ({ status }, { response }) => send(response, status, 'text/html; charset=utf-8', html(status)),
  // Nothing: until the client gives up or the server stops.
  hang: () => undefined,
  status: ({ status, headers, body = `${status}\n`, type = 'text/plain' }, { response }) =>
    send(response, status, type, body, headers),
  redirect: ({ status = 302, location }, { response }) =>
    send(response, status, 'text/plain', '', { location }),
  truncatedJson: (_, { response, answer }) => {
    const text = answer();
    send(response, 200, JSON_TYPE, text.slice(0, Math.floor(text.length / 2)));
  },
  wrongJson: ({ body }, { response, hit, wrongShapes = WRONG_SHAPES }) => {
    const shape = wrongShapes[hit % wrongShapes.length] as string;
    send(response, 200, JSON_TYPE, body === undefined ? shape : (stringify(body) ?? 'null'));
  },
  deepJson: ({ depth }, { response }) => {
    const deep = '['.repeat(depth) + ']'.repeat(depth);
    send(response, 200, JSON_TYPE, `{"success":true,"errorCode":1000000,"result":${deep}}`);
  },
  invalidUtf8: (_, { response, answer }) => send(response, 200, JSON_TYPE, spoiled(answer())),
  slowBody: ({ bytesPerSecond }, { response, answer }) =>
    drip(response, Buffer.from(answer()), bytesPerSecond),
  hugeBody: ({ bytes }, { response }) => flood(response, bytes),
};

/** Applies a transport fault. */
export function injectFault(action: TransportFault, on: FaultTarget): void {
  const act = ACTS[action.kind] as (action: TransportFault, on: FaultTarget) => void;
  act(action, on);
}

/** Sends unless the client has disconnected. */
function sendIfThere(response: ServerResponse, text: string): void {
  if (!response.destroyed) send(response, 200, JSON_TYPE, text);
}

/** A timer that ends with the connection and never keeps the process alive. */
function later(response: ServerResponse, ms: number, act: () => void): void {
  const timer = setTimeout(act, ms);
  timer.unref();
  response.once('close', () => clearTimeout(timer));
}

function html(status: number): string {
  return `<!DOCTYPE html><html><head><title>${status}</title></head><body><h1>${status}</h1><p>Please wait &amp; retry. {"success":true}</p></body></html>`;
}

function cutInTheMiddle(response: ServerResponse, text: string): void {
  const body = Buffer.from(text);
  response.writeHead(200, { 'content-type': JSON_TYPE, 'content-length': body.length });
  // Destroyed only after the half was sent, else the client would see a plain cut.
  response.write(body.subarray(0, Math.ceil(body.length / 2)), () => response.destroy());
}

/** Inserts an invalid UTF-8 byte into the first string value. */
function spoiled(text: string): Buffer {
  const at = text.indexOf('":"');
  const cut = at < 0 ? text.length : at + 3;
  return Buffer.concat([
    Buffer.from(text.slice(0, cut)),
    Buffer.from([0xff, 0xc3]),
    Buffer.from(text.slice(cut)),
  ]);
}

function drip(response: ServerResponse, body: Buffer, bytesPerSecond: number): void {
  response.writeHead(200, { 'content-type': JSON_TYPE, 'content-length': body.length });
  // Twenty chunks a second if the rate allows, of at least a byte.
  const interval = Math.max(50, 1000 / bytesPerSecond);
  const drop = Math.max(1, Math.round((bytesPerSecond * interval) / 1000));
  let sent = 0;
  const timer = setInterval(() => {
    const chunk = body.subarray(sent, sent + drop);
    sent += chunk.length;
    if (sent < body.length) response.write(chunk);
    else response.end(chunk);
  }, interval);
  timer.unref();
  response.once('close', () => clearInterval(timer));
}

/** Streams valid JSON of about this many bytes, as fast as the client reads. */
function flood(response: ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-type': JSON_TYPE });
  response.write('{"success":true,"errorCode":1000000,"result":{"padding":"');
  const chunk = 'x'.repeat(64 * 1024);
  let left = bytes;
  const more = (): void => {
    while (left > 0) {
      const part = left < chunk.length ? chunk.slice(0, left) : chunk;
      left -= part.length;
      if (!response.write(part)) return void response.once('drain', more);
    }
    response.end('"}}');
  };
  more();
}
