import { setTimeout as sleep } from 'node:timers/promises';
import { closeDb, createDb, type Db } from './db/client.ts';

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

export interface Quota {
  /**
   * Resolves at the moment when one request may leave.
   * @throws the signal's reason; or the database's error when Postgres is away (no slot without the ledger).
   */
  take(account: string, share: string, signal?: AbortSignal): Promise<void>;
  /** The API said "too fast": nobody takes a slot of this account for so long. */
  hold(account: string, ms: number): Promise<void>;
  close(): Promise<void>;
}

/** Slots are handed out at most this far ahead: the longest that an urgent request waits behind others. */
const HORIZON_MS = 50;
/**
 * No more requests than the limit in any span of this length. Requests do not arrive as evenly as they leave: beyond the
 * second, 30 ms between the fastest and the slowest way to the server are tolerated, and still 97 % is used.
 */
const WINDOW_MS = 1_030;
/** Slots lie this much nearer than the average, so that time lost to a late request is made up for. */
const SPACING = 0.8;
/** A slot used later than this is reported, so that its cell rests from its real use on. */
const LATE_MS = 4;

interface Waiter {
  resolve(): void;
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
}

interface Granted {
  /** Milliseconds from when it was asked for. */
  slots: number[];
  positions: number[];
  retry_in: number;
}

/**
 * @param shares in order of precedence
 * @param perSecond requests a second that the API allows an account
 */
export function createQuota(options: {
  databaseUrl: string;
  shares: readonly Share[];
  perSecond: number;
}): Quota {
  // A connection of its own: a slot must not wait behind the pool's transactions.
  const db: Db = createDb(options.databaseUrl, { max: 1, name: 'quota' });
  const sql = db.$client;
  const spacingMs = (1000 / options.perSecond) * SPACING;
  const parts = options.shares.map((share) => share.part);
  const accounts = new Map<string, Account>();
  let closed = false;

  const indexOf = (share: string) => {
    const index = options.shares.findIndex((one) => one.name === share);
    if (index < 0) throw new Error(`no such share of a quota: ${share}`);
    return index;
  };

  function take(name: string, share: string, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const account: Account = accounts.get(name) ?? {
      waiting: options.shares.map(() => []),
      ahead: options.shares.map(() => 0),
      pumping: false,
      wake: () => {},
      late: new Map(),
    };
    accounts.set(name, account);
    const queue = account.waiting[indexOf(share)] as Waiter[];
    return new Promise<void>((resolve, reject) => {
      const leave = () => {
        const at = queue.indexOf(waiter);
        if (at >= 0) queue.splice(at, 1);
        reject(signal?.reason);
      };
      // one signal serves all calls of a job, a thousand pages for instance: nothing may stay with it
      const settled = () => signal?.removeEventListener('abort', leave);
      const waiter: Waiter = {
        resolve() {
          settled();
          resolve();
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
            select * from quota_take(${name}, ${options.perSecond}, ${WINDOW_MS}, ${spacingMs}, ${parts}, ${share + 1},
              ${want}, ${HORIZON_MS})`;
          if (!answer) throw new Error('quota_take gave no row');
          for (const [index, inMs] of answer.slots.entries())
            useAt(name, account, share, askedAt + inMs, answer.positions[index] ?? 0);
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

  /** Lets a waiter go when its slot has come; a slot whose waiter went away goes to another share's. */
  function useAt(name: string, account: Account, share: number, at: number, position: number) {
    account.ahead[share] = (account.ahead[share] ?? 0) + 1;
    const use = () => {
      account.ahead[share] = (account.ahead[share] ?? 1) - 1;
      const waiter =
        account.waiting[share]?.shift() ?? account.waiting.find((other) => other.length > 0)?.shift();
      const late = performance.now() - at;
      if (waiter && late > LATE_MS) account.late.set(position, late);
      waiter?.resolve();
      // the pump reports it at its next turn; when there is none, nobody else would
      if (!account.pumping && account.late.size > 0) reportLate(name, account).catch(() => {});
    };
    const wait = at - performance.now();
    if (wait < 1) use();
    else setTimeout(use, wait);
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
    take: (account, share, signal) =>
      closed ? Promise.reject(new Error('the quota is closed')) : take(account, share, signal),
    hold,
    async close() {
      closed = true;
      for (const account of accounts.values())
        for (const queue of account.waiting)
          for (const waiter of queue.splice(0)) waiter.reject(new Error('the quota is closed'));
      await closeDb(db);
    },
  };
}
