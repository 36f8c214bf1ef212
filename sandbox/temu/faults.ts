import { createRandom, seedOf } from '../random.ts';
import type { ApiError } from './model.ts';

/**
 * One way to misbehave. `handled` lets the call take effect although its answer is lost or spoiled; `takesEffect` says
 * which of them do.
 */
export type FaultAction =
  /** 4000004 in Temu's words. */
  | { kind: 'throttle' }
  /** An error at the outer level. */
  | { kind: 'error'; errorCode: number; errorMsg: string; handled?: boolean }
  /** Outer success, inner failure. */
  | { kind: 'innerError'; errorCode: number; errorMsg: string; handled?: boolean }
  /** Failures at both levels. */
  | { kind: 'bothErrors'; inner: ApiError; outer: ApiError; handled?: boolean }
  /** Hangs for so long without an answer, then the socket is cut; `handled` takes effect before. */
  | { kind: 'timeout'; ms: number; handled?: boolean }
  /** The right answer, later. It takes effect at once, or `late`: with the answer, even when the client is gone. */
  | { kind: 'delay'; ms: number; late?: boolean }
  /** The socket is destroyed after the request was read; nothing took effect. */
  | { kind: 'cut' }
  /** The call takes effect, then the socket is destroyed before the first byte of the answer. */
  | { kind: 'lostAnswer' }
  /** The call takes effect, half of the answer is sent, then the socket is destroyed. */
  | { kind: 'answerThenCut' }
  | { kind: 'html'; status: number; handled?: boolean }
  /** Status 200, JSON that ends in the middle, a length that fits. */
  | { kind: 'truncatedJson' }
  /** Valid JSON of a wrong shape: `body`, or one shape after the other. */
  | { kind: 'wrongJson'; body?: unknown; handled?: boolean }
  /** JSON nested so deep that a recursive parser falls over. */
  | { kind: 'deepJson'; depth: number; handled?: boolean }
  /** The right answer with bytes that are no UTF-8 in its texts. */
  | { kind: 'invalidUtf8' }
  /** The right answer, drop by drop. */
  | { kind: 'slowBody'; bytesPerSecond: number }
  /** No answer at all, until the client gives up; `handled` takes effect before. */
  | { kind: 'hang'; handled?: boolean }
  /** A bare HTTP status, with headers such as Retry-After and a body (of this media type) if wanted. */
  | {
      kind: 'status';
      status: number;
      headers?: Record<string, string>;
      body?: string;
      type?: string;
      handled?: boolean;
    }
  /** Valid JSON of about so many bytes. */
  | { kind: 'hugeBody'; bytes: number; handled?: boolean }
  | { kind: 'redirect'; location: string; status?: number };

/** Faults that spoil the right answer: there is one only after the call. */
const ANSWERING: readonly FaultAction['kind'][] = [
  'delay',
  'lostAnswer',
  'answerThenCut',
  'truncatedJson',
  'invalidUtf8',
  'slowBody',
];

/** Whether a call that is struck takes effect. */
export function takesEffect(action: FaultAction): boolean {
  return ANSWERING.includes(action.kind) || ('handled' in action && action.handled === true);
}

/** What a rule looks at; a call about several orders or parcels matches by each of them. */
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
  /** How often it strikes; default: until it is removed. */
  times?: number;
  /** Chance that a matching request is hit (seeded); default 1. */
  probability?: number;
  do: FaultAction;
}

interface FaultHandle {
  readonly id: number;
  readonly rule: FaultRule;
  /** How often it has struck. */
  hits(): number;
  remove(): void;
}

export interface Faults {
  add(rule: FaultRule): FaultHandle;
  list(): FaultHandle[];
  remove(id: number): boolean;
  clear(): void;
  /** The first rule, in the order they were added, that strikes this request. */
  next(request: FaultRequest): { action: FaultAction; hit: number } | undefined;
}

/** Rules of misbehaviour, asked once per request that has passed every check. */
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
