import type { ServerResponse } from 'node:http';
import { createRandom, seedOf } from './random.ts';
import { injectFault, send, type TransportFault } from './temu/inject-fault.ts';

/** Faults of a stand-in that speaks HTTP (a courier, Slack, a webhook receiver). */
export type HttpFault =
  /** The API's own rate-limit response, optionally with another status, headers or body. */
  | { kind: 'limited'; status?: number; headers?: Record<string, string>; body?: string }
  /** The API's own rejection of the token, or of the credentials at a login. */
  | { kind: 'unauthorized' }
  | TransportFault;

export interface HttpFaultRule {
  /** Target: `track` or `login` of a courier, a hook's name; default: everything. */
  on?: string;
  /** Only requests for this number. */
  number?: string;
  /** How often it applies; default: until it is removed. */
  times?: number;
  /** Matching requests to let through first; default 0. */
  after?: number;
  /** Chance that a matching request is hit (seeded); default 1. */
  probability?: number;
  do: HttpFault;
}

export interface HttpFaultHandle {
  readonly id: number;
  readonly rule: HttpFaultRule;
  /** How often it has applied. */
  hits(): number;
  remove(): void;
}

export interface HttpFaults {
  add(rule: HttpFaultRule): HttpFaultHandle;
  list(): HttpFaultHandle[];
  remove(id: number): boolean;
  clear(): void;
  /** The first rule, in the order they were added, that applies to this request. */
  next(on: string, numbers?: readonly string[]): { fault: HttpFault; hit: number } | undefined;
}

export function createHttpFaults(seed: number, name: string): HttpFaults {
  const random = createRandom(seedOf('http-faults', name, seed));
  const rules = new Map<number, { handle: HttpFaultHandle; count: number; passed: number }>();
  let lastId = 0;
  return {
    add: (rule) => {
      const id = ++lastId;
      const entry = {
        handle: { id, rule, hits: () => entry.count, remove: () => void rules.delete(id) },
        count: 0,
        passed: 0,
      };
      rules.set(id, entry);
      return entry.handle;
    },
    list: () => [...rules.values()].map(({ handle }) => handle),
    remove: (id) => rules.delete(id),
    clear: () => rules.clear(),
    next: (on, numbers = []) => {
      for (const entry of rules.values()) {
        const { rule } = entry.handle;
        if (entry.count >= (rule.times ?? Number.POSITIVE_INFINITY)) continue;
        if (rule.on !== undefined && rule.on !== on) continue;
        if (rule.number !== undefined && !numbers.includes(rule.number)) continue;
        if (entry.passed++ < (rule.after ?? 0)) continue;
        if (rule.probability !== undefined && !random.chance(rule.probability)) continue;
        return { fault: rule.do, hit: entry.count++ };
      }
      return undefined;
    },
  };
}

/** A response; `type` is its media type, by default JSON. */
export interface Answer {
  status: number;
  body: string;
  type?: string;
  headers?: Record<string, string>;
  /** A rule of the API's own says that there were too many. */
  limited?: boolean;
}

const JSON_TYPE = 'application/json';

export function json(value: unknown, status = 200): Answer {
  return { status, body: JSON.stringify(value) };
}

export function sendAnswer(response: ServerResponse, answer: Answer): void {
  send(response, answer.status, answer.type ?? JSON_TYPE, answer.body, answer.headers);
}

export interface Struck {
  response: ServerResponse;
  hit: number;
  /** Lets the call take effect and returns its regular response. */
  answer(): Answer;
  limited(): Answer;
  unauthorized(): Answer;
  wrongShapes: readonly string[];
}

/** Applies a fault. */
export function strike(fault: HttpFault, on: Struck): void {
  const { response, hit, wrongShapes } = on;
  if (fault.kind === 'unauthorized') sendAnswer(response, on.unauthorized());
  else if (fault.kind === 'limited') sendAnswer(response, limitedAnswer(on.limited(), fault));
  else {
    if ('handled' in fault && fault.handled) on.answer();
    injectFault(fault, { response, hit, wrongShapes, answer: () => on.answer().body });
  }
}

/** An API's own rate-limit response, modified by a fault or a limit. */
export function limitedAnswer(
  own: Answer,
  given: { status?: number; headers?: Record<string, string>; body?: string },
): Answer {
  return {
    ...own,
    ...(given.status !== undefined && { status: given.status }),
    ...(given.body !== undefined && { body: given.body }),
    headers: { ...own.headers, ...given.headers },
  };
}
