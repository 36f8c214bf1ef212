import { sql } from 'drizzle-orm';
import { closeDb, createDb } from '../db/client.ts';
import { excluded, type RowOf, statement } from '../db/query.ts';
import { quotaAccounts } from '../db/schema/index.ts';

/** Where the accounts of rate limits are kept (T17). All its methods throw the driver's error. */
export interface Ledger {
  take(wanted: Wanted): Promise<Granted>;
  /** Reports by cell how many milliseconds late slots were used. */
  late(account: string, late: ReadonlyMap<number, number>): Promise<void>;
  /** No slot of this account is granted for this long. */
  hold(account: string, ms: number): Promise<void>;
  close(): Promise<void>;
}

export interface Wanted {
  account: string;
  /** At most this many slots in `windowMs`, at least `spacingMs` apart, and none later than `horizonMs` from now. */
  max: number;
  windowMs: number;
  spacingMs: number;
  horizonMs: number;
  /** The part of each share, and the share that requests, 1-based. */
  parts: readonly number[];
  share: number;
  /** The number of slots requested. */
  want: number;
}

/** Slots in milliseconds from the request to the ledger, their cells, and when to request the missing ones. */
export type Granted = RowOf<typeof GRANTED>;
const GRANTED = {
  slots: sql`slots`.mapWith(quotaAccounts.cells),
  positions: sql`positions`.mapWith(quotaAccounts.cells),
  retryIn: sql<number>`retry_in`,
};

const ph = sql.placeholder;
const TAKE = statement(
  GRANTED,
  (list) => sql`
    select ${list} from quota_take(${ph('account')}, ${ph('max')}, ${ph('windowMs')}, ${ph('spacingMs')}, ${ph('parts')},
      ${ph('share')}, ${ph('want')}, ${ph('horizonMs')})`,
);
const LATE = statement(
  { reported: sql`quota_late(${ph('account')}, ${ph('positions')}, ${ph('late')})` },
  (list) => sql`select ${list}`,
);

/** On a connection of its own, since a slot must not wait behind a pool's transactions. */
export function openLedger(databaseUrl: string): Ledger {
  const db = createDb(databaseUrl, { max: 1, name: 'quota' });
  return {
    async take(wanted) {
      const [granted] = await TAKE.run(db, { ...wanted });
      if (!granted) throw new Error('quota_take returned no row');
      return granted;
    },
    async late(account, late) {
      await LATE.run(db, { account, positions: [...late.keys()], late: [...late.values()] });
    },
    async hold(account, ms) {
      const { holdUntil } = quotaAccounts;
      await db
        .insert(quotaAccounts)
        .values({ account, holdUntil: sql`extract(epoch from clock_timestamp()) * 1000 + ${ms}::float8` })
        .onConflictDoUpdate({
          target: quotaAccounts.account,
          set: { holdUntil: sql`greatest(${holdUntil}, ${excluded(holdUntil)})` },
        });
    },
    close: () => closeDb(db),
  };
}
