import { createRandom, seedOf } from '../random.ts';
import type { ApiError } from './model.ts';

/**
 * A fault. `handled` lets the call take effect although its response is lost or corrupted; see `takesEffect`.
 */
export type FaultAction =
  /** Temu's 4000004. */
  | { kind: 'throttle' }
  /** An error at the outer level. */
  | { kind: 'error'; errorCode: number; errorMsg: string; handled?: boolean }
  /** Outer success, inner failure. */
  | { kind: 'innerError'; errorCode: number; errorMsg: string; handled?: boolean }
  /** Failures at both levels. */
  | { kind: 'bothErrors'; inner: ApiError; outer: ApiError; handled?: boolean }
  /** Hangs this long without a response, then cuts the socket; `handled` takes effect before. */
  | { kind: 'timeout'; ms: number; handled?: boolean }
  /** The regular response, delayed. It takes effect at once, or `late`: with the response, even if the client is gone. */
  | { kind: 'delay'; ms: number; late?: boolean }
  /** Destroys the socket after reading the request; without effect. */
  | { kind: 'cut' }
  /** The call takes effect, then the socket is destroyed before the first byte of the response. */
  | { kind: 'lostAnswer' }
  /** The call takes effect, half of the response is sent, then the socket is destroyed. */
  | { kind: 'answerThenCut' }
  | { kind: 'html'; status: number; handled?: boolean }
  /** Status 200 and truncated JSON with a matching length. */
  | { kind: 'truncatedJson' }
  /** Valid JSON of a wrong shape: `body`, or several in rotation. */
  | { kind: 'wrongJson'; body?: unknown; handled?: boolean }
  /** JSON nested so deeply that recursive parsers fail. */
  | { kind: 'deepJson'; depth: number; handled?: boolean }
  /** The regular response with invalid UTF-8 in its texts. */
  | { kind: 'invalidUtf8' }
  /** The regular response, very slowly. */
  | { kind: 'slowBody'; bytesPerSecond: number }
  /** No response until the client gives up; `handled` takes effect before. */
  | { kind: 'hang'; handled?: boolean }
  /** An HTTP status, optionally with headers such as Retry-After and a body of this media type. */
  | {
      kind: 'status';
      status: number;
      headers?: Record<string, string>;
      body?: string;
      type?: string;
      handled?: boolean;
    }
  /** Valid JSON of about this many bytes. */
  | { kind: 'hugeBody'; bytes: number; handled?: boolean }
  | { kind: 'redirect'; location: string; status?: number };

/** Faults that corrupt the regular response, and therefore need the call. */
const ANSWERING: readonly FaultAction['kind'][] = [
  'delay',
  'lostAnswer',
  'answerThenCut',
  'truncatedJson',
  'invalidUtf8',
  'slowBody',
];

/** Whether a call with this fault takes effect. */
export function takesEffect(action: FaultAction): boolean {
  return ANSWERING.includes(action.kind) || ('handled' in action && action.handled === true);
}

/** What a rule matches; a call about several orders or parcels matches by any of them. */
interface FaultMatch {
  type?: string;
  appKey?: string;
  parentOrderSn?: string;
  trackingNumber?: string;
  host?: string;
}

type FaultRequest = Pick<FaultMatch, 'type' | 'appKey' | 'host'> & {
  parentOrderSns?: readonly string[];
  trackingNumbers?: readonly string[];
};

export interface FaultRule {
  match?: FaultMatch;
  /** How often it applies; default: until it is removed. */
  times?: number;
  /** Chance that a matching request is hit (seeded); default 1. */
  probability?: number;
  do: FaultAction;
}

interface FaultHandle {
  readonly id: number;
  readonly rule: FaultRule;
  /** How often it has applied. */
  hits(): number;
  remove(): void;
}

export interface Faults {
  add(rule: FaultRule): FaultHandle;
  list(): FaultHandle[];
  remove(id: number): boolean;
  clear(): void;
  /** The first rule, in the order they were added, that applies to this request. */
  next(request: FaultRequest): { action: FaultAction; hit: number } | undefined;
}

/** Fault rules, consulted once per request that has passed every check. */
export function createFaults(seed: number): Faults {
  const random = createRandom(seedOf('faults', seed));
  const rules = new Map<number, { handle: FaultHandle; count: number }>();
  let lastId = 0;
  return {
    add: (rule) => {
      const id = ++lastId;
      const handle: FaultHandle = {
        id,
        rule,
        hits: () => entry.count,
        remove: () => void rules.delete(id),
      };
      const entry = { handle, count: 0 };
      rules.set(id, entry);
      return handle;
    },
    list: () => [...rules.values()].map(({ handle }) => handle),
    remove: (id) => rules.delete(id),
    clear: () => rules.clear(),
    next: (request) => {
      for (const entry of rules.values()) {
        const {
          match = {},
          times = Number.POSITIVE_INFINITY,
          probability = 1,
          do: action,
        } = entry.handle.rule;
        if (entry.count >= times || !matches(match, request)) continue;
        if (probability < 1 && !random.chance(probability)) continue;
        return { action, hit: entry.count++ };
      }
      return undefined;
    },
  };
}

function matches(match: FaultMatch, request: FaultRequest): boolean {
  const { parentOrderSn, trackingNumber } = match;
  if (parentOrderSn !== undefined && !request.parentOrderSns?.includes(parentOrderSn)) return false;
  if (trackingNumber !== undefined && !request.trackingNumbers?.includes(trackingNumber)) return false;
  return (['type', 'appKey', 'host'] as const).every(
    (key) => match[key] === undefined || match[key] === request[key],
  );
}
