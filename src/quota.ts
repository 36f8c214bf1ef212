import { setTimeout as sleep } from 'node:timers/promises';
import { closeDb, createDb, type Db } from './db/client.ts';
import { notInTransaction } from './in-transaction.ts';

/**
 * Shared quotas (T17): one account per API key over all processes. Postgres keeps the account (`quota_take` in
 * drizzle/), so an emptied Redis forgets no limit, and it keeps when each slot was really used, so that every sliding
 * second stays within the limit and not only every calendar second.
 */
export interface Share {
  name: string;
  /** The part of the account that is its own while others wait; the parts of an account add up to 1. */
  part: number;
}

/** What an API allows each account: no more than `max` requests in any span of `perMs`, whenever it begins. */
export interface Law {
  max: number;
  perMs: number;
  /**
   * Requests do not arrive as evenly as they leave: cells rest this much longer than `perMs`. 30 ms of a second are the
   * jitter of an ordinary way to a server, and still 97 % is used, or 95.5 % with all of CAUTION below: T17 wants 95 %.
   */
  toleranceMs: number;
  /** In order of precedence. */
  shares: readonly Share[];
}

/** Leave for one request. */
export interface Slot {
  /**
   * To be told when the request's answer is there. One that took longer than others of its kind may have arrived late,
   * too: its cell rests that much longer, so that it and its successor do not meet in one span over there.
   * @param kind calls that take about as long as each other: one API
   */
  answered(kind?: string): void;
}

export interface Quota {
  /**
   * Resolves at the moment when one request may leave.
   * @throws the signal's reason; or the database's error when Postgres is away (no slot without the ledger).
   */
  take(account: string, share: string, signal?: AbortSignal): Promise<Slot>;
  /** The API said "too fast": nobody takes a slot of this account for so long. */
  hold(account: string, ms: number): Promise<void>;
  /** Whoever waits is told that nothing more comes. */
  close(): void;
}

/** Where the accounts are kept: a connection of its own, since a slot must not wait behind a pool's transactions. */
export interface Ledger {
  sql: Db['$client'];
  close(): Promise<void>;
}

export function openLedger(databaseUrl: string): Ledger {
  const db = createDb(databaseUrl, { max: 1, name: 'quota' });
  return { sql: db.$client, close: () => closeDb(db) };
}

/** Slots are handed out at most this far ahead: the longest that an urgent request waits behind others. */
const HORIZON_MS = 50;
/** Slots lie this much nearer than the average, so that time lost to a late request is made up for. */
const SPACING = 0.8;
/** A slot that may have been used later than this is reported, so that its cell rests from its real use on. */
const LATE_MS = 6;
/** The shortest time of an answer that was seen may be so much longer than the shortest way there. */
const GUARD_MS = 3;
/** What counts for the usual time of an answer is at most so many times what was usual. */
const OUTLIER = 2;
/** How fast the usual time of an answer follows what is seen; and how fast the shortest one forgets. */
const FOLLOW = 0.05;
const FORGET = 0.002;
/**
 * What a request took beyond the shortest of its kind is the most that it can have been late; how much of it was the
 * way there and how much the work over there, nobody knows. So cells rest for all of it as long as that costs no more
 * than this part of the account on average, saved up for bad moments over as many requests. Beyond that, for what was
 * beyond the usual.
 */
const CAUTION = 0.015;
const CAUTION_IN_HAND = 150;
/** Until so many answers of a kind were seen, the shortest is no measure: the first ones open connections, on both sides. */
const KNOWN = 20;

interface Waiter {
  resolve(slot: Slot): void;
  reject(error: unknown): void;
}

interface Account {
  waiting: Waiter[][];
  /** Slots of each share that are granted and lie ahead. */
  ahead: number[];
  pumping: boolean;
  wake: () => void;
  /** Cells whose slots were used late, with how late: to be reported. */
  late: Map<number, number>;
  /** Milliseconds that answers take, by their kind: usually, and at least. */
  took: Map<string, { answers: number; usualMs: number; leastMs: number }>;
  /** Milliseconds that cells may rest out of caution. */
  inHandMs: number;
}

interface Granted {
  /** Milliseconds from when it was asked for. */
  slots: number[];
  positions: number[];
  retry_in: number;
}

export function createQuota({ sql }: Ledger, law: Law): Quota {
  const windowMs = law.perMs + law.toleranceMs;
  const spacingMs = (law.perMs / law.max) * SPACING;
  // whoever needs no tolerance stays below what the API allows, and needs no caution either
  const cautionMs = law.toleranceMs > 0 ? law.perMs * CAUTION : 0;
  const parts = law.shares.map((share) => share.part);
  const accounts = new Map<string, Account>();
  let closed = false;

  const indexOf = (share: string) => {
    const index = law.shares.findIndex((one) => one.name === share);
    if (index < 0) throw new Error(`no such share of a quota: ${share}`);
    return index;
  };

  function take(name: string, share: string, signal?: AbortSignal): Promise<Slot> {
    signal?.throwIfAborted();
    const account: Account = accounts.get(name) ?? {
      waiting: law.shares.map(() => []),
      ahead: law.shares.map(() => 0),
      pumping: false,
      wake: () => {},
      late: new Map(),
      took: new Map(),
      inHandMs: cautionMs * CAUTION_IN_HAND,
    };
    accounts.set(name, account);
    const queue = account.waiting[indexOf(share)] as Waiter[];
    return new Promise<Slot>((resolve, reject) => {
      const leave = () => {
        const at = queue.indexOf(waiter);
        if (at >= 0) queue.splice(at, 1);
        reject(signal?.reason);
      };
      // one signal serves all calls of a job, a thousand pages for instance: nothing may stay with it
      const settled = () => signal?.removeEventListener('abort', leave);
      const waiter: Waiter = {
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
      if (!account.pumping) void pump(name, account);
    });
  }

  /** Asks for slots ahead of their time until every waiter of one account in this process has one. */
  async function pump(name: string, account: Account) {
    account.pumping = true;
    const wanting = (share: number) => (account.waiting[share]?.length ?? 0) - (account.ahead[share] ?? 0);
    try {
      while (parts.some((_, share) => wanting(share) > 0)) {
        await reportLate(name, account);
        let pause = Number.POSITIVE_INFINITY;
        for (const share of parts.keys()) {
          const want = wanting(share);
          if (want <= 0) continue;
          const askedAt = performance.now();
          const [answer] = await sql<Granted[]>`
            select * from quota_take(${name}, ${law.max}, ${windowMs}, ${spacingMs}, ${parts}, ${share + 1},
              ${want}, ${HORIZON_MS})`;
          if (!answer) throw new Error('quota_take gave no row');
          // counted from now, not from when it was asked for: the ledger may have been waited for, and a slot before its
          // time breaks the limit, while one after it is reported
          const answeredAt = performance.now();
          for (const [index, inMs] of answer.slots.entries())
            useAt(
              name,
              account,
              share,
              answeredAt + inMs,
              answer.positions[index] ?? 0,
              answeredAt - askedAt,
            );
          if (wanting(share) > 0) pause = Math.min(pause, askedAt + answer.retry_in - performance.now());
        }
        if (pause > 0 && Number.isFinite(pause)) {
          await Promise.race([sleep(pause), new Promise<void>((wake) => (account.wake = wake))]);
          account.wake = () => {};
        }
      }
    } catch (error) {
      for (const queue of account.waiting) for (const waiter of queue.splice(0)) waiter.reject(error);
    } finally {
      account.pumping = false;
    }
  }

  /**
   * Lets a waiter go when its slot has come; a slot whose waiter went away goes to another share's.
   * @param answerMs what the ledger's answer took: the slot is used as much later than planned at most
   */
  function useAt(
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
      // the pump reports it at its next turn; when there is none, nobody else would
      if (!account.pumping && account.late.size > 0) reportLate(name, account).catch(() => {});
    };
    const wait = at - performance.now();
    if (wait < 1) use();
    else setTimeout(use, wait);
  }

  /** @param unreportedMs how late the slot is used, when that was too little to be reported: the tolerance pays for both */
  function slotOf(name: string, account: Account, position: number, unreportedMs: number): Slot {
    const leftAt = performance.now();
    const slackMs = law.toleranceMs > 0 ? law.toleranceMs - unreportedMs - GUARD_MS : 0;
    return {
      answered(kind = '') {
        const took = performance.now() - leftAt;
        const { answers, usualMs, leastMs } = account.took.get(kind) ?? {
          answers: 0,
          usualMs: took,
          leastMs: took,
        };
        account.took.set(kind, {
          answers: answers + 1,
          usualMs: usualMs + (Math.min(took, usualMs * OUTLIER) - usualMs) * FOLLOW,
          leastMs: took < leastMs ? took : leastMs + (took - leastMs) * FORGET,
        });
        const surely = Math.max(0, took - usualMs - slackMs);
        const possibly = Math.max(0, took - (answers < KNOWN ? 0 : leastMs) - slackMs);
        const late = Math.max(surely, Math.min(possibly, account.inHandMs));
        account.inHandMs = Math.min(
          cautionMs * CAUTION_IN_HAND,
          Math.max(0, account.inHandMs - late) + cautionMs,
        );
        // after a whole span the cell is another request's
        if (late <= 0 || took >= law.perMs) return;
        account.late.set(position, (account.late.get(position) ?? 0) + late);
        if (!account.pumping) reportLate(name, account).catch(() => {});
      },
    };
  }

  async function reportLate(name: string, account: Account) {
    if (account.late.size === 0) return;
    const late = [...account.late];
    account.late.clear();
    await sql`select quota_late(${name}, ${late.map(([position]) => position)}, ${late.map(([, ms]) => ms)})`;
  }

  async function hold(name: string, ms: number) {
    await sql`
      insert into quota_accounts (account, hold_until) values (${name}, extract(epoch from clock_timestamp()) * 1000 + ${ms})
      on conflict (account) do update set hold_until = greatest(quota_accounts.hold_until, excluded.hold_until)`;
  }

  return {
    async take(account, share, signal) {
      notInTransaction('a slot of the quota');
      if (closed) throw new Error('the quota is closed');
      return await take(account, share, signal);
    },
    hold,
    close() {
      closed = true;
      for (const account of accounts.values())
        for (const queue of account.waiting)
          for (const waiter of queue.splice(0)) waiter.reject(new Error('the quota is closed'));
    },
  };
}
