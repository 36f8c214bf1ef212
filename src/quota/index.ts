import { setTimeout as sleep } from 'node:timers/promises';
import { notInTransaction } from '../lib/in-transaction.ts';
import { createLateness, type Lateness } from './lateness.ts';
import type { Ledger } from './ledger.ts';

/**
 * Shared rate limits (T17): one account per API key over all processes. Postgres keeps the account (`quota_take` in
 * drizzle/), so an emptied Redis loses no limit, and it keeps when each slot was really used, so that every sliding
 * second stays within the limit and not only every calendar second.
 */
export interface Share {
  name: string;
  /** The part of the account that is reserved for it while others wait; the parts of an account add up to 1. */
  part: number;
}

/** What an API allows each account: no more than `max` requests in any window of `perMs`, whenever it begins. */
export interface RateLimitPolicy {
  max: number;
  perMs: number;
  /**
   * Requests do not arrive as evenly as they leave: cells stay unused this much longer than `perMs`. 30 ms of a
   * second are the jitter of an ordinary route to a server, and still 97 % is used, or 95.5 % with all of
   * CAUTION (lateness.ts): T17 wants 95 %.
   */
  toleranceMs: number;
  /** In order of precedence. */
  shares: readonly Share[];
}

/** Permission for one request. */
export interface Slot {
  /**
   * To be called when the response has arrived. A request that took longer than others of its kind may have arrived
   * late, too: its cell stays unused that much longer, so that it and its successor do not fall into one window on
   * the server.
   * @param kind calls that take about as long as each other: one API
   */
  answered(kind?: string): void;
}

/** The account has no slot within the caller's patience. */
export class NoSlot extends Error {
  override name = 'NoSlot';
  constructor() {
    super('the rate limit has no slot');
  }
}

export interface Quota {
  /**
   * Resolves at the moment when one request may leave.
   * @param patienceMs the longest wait for a slot that the account does not have: a ledger or a process that is slow is no
   * reason to give up
   * @throws NoSlot after that; the signal's reason; or the database's error when Postgres is away (no slot without the
   * ledger).
   */
  take(account: string, share: string, signal?: AbortSignal, patienceMs?: number): Promise<Slot>;
  /** The API returned "too fast": no slot of this account is granted for this long. */
  hold(account: string, ms: number): Promise<void>;
  /** Rejects everybody who waits. */
  close(): void;
}

/** Slots are granted at most this far ahead: the longest that an urgent request waits behind others. */
const HORIZON_MS = 50;
/** Slots are this much closer than the average, to make up for time lost to late requests. */
const SPACING = 0.8;
/** A slot that may have been used later than this is reported, so that its cell counts from its real use. */
const LATE_MS = 6;
/** Such reports are gathered for this long. */
const REPORT_MS = 20;
interface Waiter {
  /** By performance.now(). */
  patientUntil: number;
  resolve(slot: Slot): void;
  reject(error: unknown): void;
}

interface Account {
  waiting: Waiter[][];
  /** Granted slots of each share that lie ahead. */
  ahead: number[];
  filling: boolean;
  wake: () => void;
  /** Cells whose slots were used late, with how late: to be reported. */
  late: Map<number, number>;
  /** They will be in a moment. */
  reporting: boolean;
  lateness: Lateness;
}

export function createQuota(ledger: Ledger, policy: RateLimitPolicy): Quota {
  const windowMs = policy.perMs + policy.toleranceMs;
  const spacingMs = (policy.perMs / policy.max) * SPACING;
  const parts = policy.shares.map((share) => share.part);
  const accounts = new Map<string, Account>();
  let closed = false;

  const indexOf = (share: string) => {
    const index = policy.shares.findIndex((one) => one.name === share);
    if (index < 0) throw new Error(`unknown rate limit share: ${share}`);
    return index;
  };

  function take(
    name: string,
    share: string,
    signal: AbortSignal | undefined,
    patienceMs: number,
  ): Promise<Slot> {
    signal?.throwIfAborted();
    const account: Account = accounts.get(name) ?? {
      waiting: policy.shares.map(() => []),
      ahead: policy.shares.map(() => 0),
      filling: false,
      wake: () => {},
      late: new Map(),
      reporting: false,
      lateness: createLateness(policy),
    };
    accounts.set(name, account);
    const queue = account.waiting[indexOf(share)] as Waiter[];
    return new Promise<Slot>((resolve, reject) => {
      const leave = () => {
        const at = queue.indexOf(waiter);
        if (at >= 0) queue.splice(at, 1);
        reject(signal?.reason);
      };
      // one signal serves all calls of a job, a thousand pages for instance: no listener may stay on it
      const settled = () => signal?.removeEventListener('abort', leave);
      const waiter: Waiter = {
        patientUntil: performance.now() + patienceMs,
        resolve(slot) {
          settled();
          resolve(slot);
        },
        reject(error) {
          settled();
          reject(error);
        },
      };
      queue.push(waiter);
      signal?.addEventListener('abort', leave, { once: true });
      account.wake();
      if (!account.filling) void fill(name, account);
    });
  }

  /** Requests slots ahead of their time until every waiter of one account in this process has one. */
  async function fill(name: string, account: Account) {
    account.filling = true;
    const wanting = (share: number) => (account.waiting[share]?.length ?? 0) - (account.ahead[share] ?? 0);
    try {
      while (parts.some((_, share) => wanting(share) > 0)) {
        await reportLate(name, account);
        let pause = Number.POSITIVE_INFINITY;
        for (const share of parts.keys()) {
          const want = wanting(share);
          if (want <= 0) continue;
          const askedAt = performance.now();
          const answer = await ledger.take({
            ...{ account: name, windowMs, spacingMs, parts, want },
            ...{ max: policy.max, share: share + 1, horizonMs: HORIZON_MS },
          });
          // counted from now, not from the request: the ledger may have responded late. A slot before its time breaks
          // the limit, while one after it is reported
          const answeredAt = performance.now();
          for (const [index, inMs] of answer.slots.entries())
            schedule(
              name,
              account,
              share,
              answeredAt + inMs,
              answer.positions[index] ?? 0,
              answeredAt - askedAt,
            );
          if (wanting(share) <= 0) continue;
          giveUp(account, share, askedAt + answer.retryIn);
          pause = Math.min(pause, askedAt + answer.retryIn - performance.now());
        }
        if (pause > 0 && Number.isFinite(pause)) {
          await Promise.race([sleep(pause), new Promise<void>((wake) => (account.wake = wake))]);
          account.wake = () => {};
        }
      }
    } catch (error) {
      for (const queue of account.waiting) for (const waiter of queue.splice(0)) waiter.reject(error);
    } finally {
      account.filling = false;
    }
  }

  /** Those who got no slot and will not wait for the next request to the ledger. */
  function giveUp(account: Account, share: number, nextAt: number) {
    const queue = account.waiting[share] ?? [];
    const gone = queue.slice(account.ahead[share]).filter(({ patientUntil }) => patientUntil < nextAt);
    for (const waiter of gone) {
      queue.splice(queue.indexOf(waiter), 1);
      waiter.reject(new NoSlot());
    }
  }

  /**
   * Releases a waiter when its slot has come; a slot whose waiter has gone goes to one of another share.
   * @param answerMs how long the ledger took to respond: the slot is used at most this much later than planned
   */
  function schedule(
    name: string,
    account: Account,
    share: number,
    at: number,
    position: number,
    answerMs: number,
  ) {
    account.ahead[share] = (account.ahead[share] ?? 0) + 1;
    const use = () => {
      account.ahead[share] = (account.ahead[share] ?? 1) - 1;
      const waiter =
        account.waiting[share]?.shift() ?? account.waiting.find((other) => other.length > 0)?.shift();
      const late = performance.now() - at + answerMs;
      if (waiter && late > LATE_MS) account.late.set(position, late);
      waiter?.resolve(slotOf(name, account, position, late > LATE_MS ? 0 : Math.max(0, late)));
      // the next iteration of `fill` reports it; without one, nobody else would
      if (!account.filling && account.late.size > 0) reportSoon(name, account);
    };
    const wait = at - performance.now();
    if (wait < 1) use();
    else setTimeout(use, wait);
  }

  /**
   * @param unreportedMs how late the slot is used, when that was too little to be reported: the tolerance covers both
   */
  function slotOf(name: string, account: Account, position: number, unreportedMs: number): Slot {
    const leftAt = performance.now();
    return {
      answered(kind = '') {
        const tookMs = performance.now() - leftAt;
        const late = account.lateness.of(kind, tookMs, unreportedMs);
        // after a whole window the cell is another request's
        if (late <= 0 || tookMs >= policy.perMs) return;
        account.late.set(position, (account.late.get(position) ?? 0) + late);
        if (!account.filling) reportSoon(name, account);
      },
    };
  }

  /** Several together: while nobody waits for a slot it is soon enough, since their cells lie unused for long. */
  function reportSoon(name: string, account: Account) {
    if (account.reporting) return;
    account.reporting = true;
    setTimeout(() => {
      account.reporting = false;
      reportLate(name, account).catch(() => {});
    }, REPORT_MS).unref();
  }

  async function reportLate(name: string, account: Account) {
    if (account.late.size === 0) return;
    const late = new Map(account.late);
    account.late.clear();
    await ledger.late(name, late);
  }

  return {
    async take(account, share, signal, patienceMs = Number.POSITIVE_INFINITY) {
      notInTransaction('a slot of the quota');
      if (closed) throw new Error('the rate limiter is closed');
      return await take(account, share, signal, patienceMs);
    },
    hold: ledger.hold,
    close() {
      closed = true;
      for (const account of accounts.values())
        for (const queue of account.waiting)
          for (const waiter of queue.splice(0)) waiter.reject(new Error('the rate limiter is closed'));
    },
  };
}
