import { and, eq, getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { Db, Tx } from '../db/client.ts';
import { outer, type RowOf, statement } from '../db/query.ts';
import { temuStoreHosts, temuStores } from '../db/schema/index.ts';
import type { Secrets } from '../db/secrets.ts';
import { type Failure, UserError } from '../lib/errors.ts';
import { notify, withdraw } from '../notices/index.ts';
import type { HostMemory, Store, TemuApi, TemuHost } from './client.ts';

const ph = sql.placeholder;

type StoreRow = typeof temuStores.$inferSelect;

const secretContext = (id: string, column: 'app_secret' | 'access_token') => `temu_stores.${column} of ${id}`;

export const openStore = (row: StoreRow, secrets: Secrets): Store => ({
  id: row.id,
  name: row.name,
  region: row.region,
  country: row.country,
  appKey: row.appKey,
  appSecret: secrets.decrypt(row.appSecret, secretContext(row.id, 'app_secret')),
  accessToken: secrets.decrypt(row.accessToken, secretContext(row.id, 'access_token')),
  warehouseId: row.warehouseId,
  apiVersion: row.apiVersion,
  sealed: { appSecret: row.appSecret, accessToken: row.accessToken },
});

/** True when the row's store is active. */
export const hasActiveStore = (storeId: PgColumn): SQL =>
  sql`exists (select from ${temuStores} where ${temuStores.id} = ${storeId} and ${temuStores.active})`;

/** True when more than one store is active. */
export const severalStores = sql<boolean>`(select count(*) > 1 from ${temuStores} where ${temuStores.active})`;

const ACTIVE = statement(
  getTableColumns(temuStores),
  (read) =>
    sql`select ${read} from ${temuStores} where ${temuStores.id} = ${ph('id')} and ${temuStores.active}`,
);

type StoreBeside = { [Name in keyof StoreRow as `store ${Name}`]: (typeof temuStores)['_']['columns'][Name] };
/** The columns of a store beside those of a statement about something else, which joins it if it is active. */
export const STORE_BESIDE = outer(
  Object.fromEntries(
    Object.entries(getTableColumns(temuStores)).map(([name, column]) => [`store ${name}`, column]),
  ) as StoreBeside,
);

/** The store of such a row; undefined while it is paused or gone. */
export function storeBeside(row: RowOf<typeof STORE_BESIDE>, secrets: Secrets): Store | undefined {
  const columns = Object.keys(getTableColumns(temuStores)) as (keyof StoreRow)[];
  const store = Object.fromEntries(columns.map((name) => [name, row[`store ${name}`]]));
  return row['store id'] === null ? undefined : openStore(store as StoreRow, secrets);
}

/** The store with its secrets, or undefined while it is paused or gone. */
export async function activeStore(db: Db, secrets: Secrets, id: string): Promise<Store | undefined> {
  const [row] = await ACTIVE.run(db, { id });
  return row && openStore(row, secrets);
}

export interface Credentials {
  appKey: string;
  appSecret: string;
  accessToken: string;
}

export interface NewStore extends Credentials {
  name: string;
  region: TemuHost;
  country: string;
  warehouseId?: string | undefined;
  apiVersion: 'v1' | 'v2';
}

const sealed = (secrets: Secrets, id: string, credentials: Credentials) => ({
  // a trailing blank or newline is the most common mistake in a pasted key
  appKey: credentials.appKey.trim(),
  appSecret: secrets.encrypt(credentials.appSecret.trim(), secretContext(id, 'app_secret')),
  accessToken: secrets.encrypt(credentials.accessToken.trim(), secretContext(id, 'access_token')),
});

/** @throws UserError when the name is taken. */
export async function addStore(db: Db, secrets: Secrets, store: NewStore): Promise<string> {
  const id = crypto.randomUUID();
  const { name, region, country, apiVersion } = store;
  const added = await db
    .insert(temuStores)
    .values({
      id,
      name,
      region,
      country,
      apiVersion,
      warehouseId: store.warehouseId ?? null,
      ...sealed(secrets, id, store),
    })
    .onConflictDoNothing({ target: temuStores.name })
    .returning({ id: temuStores.id });
  if (added.length === 0)
    throw new UserError(
      `A store named "${name}" already exists. To update its credentials: store rotate "${name}" …`,
    );
  return id;
}

/** @throws UserError that lists the stores. */
export async function storeByName(db: Db, name: string): Promise<StoreRow> {
  const rows = await db.select().from(temuStores).orderBy(temuStores.name);
  const found = rows.find((row) => row.name === name);
  if (found) return found;
  const names = rows.map((row) => `"${row.name}"`).join(', ');
  throw new UserError(
    `There is no store named "${name}". ${names ? `Available: ${names}` : 'Add one: store add'}`,
  );
}

/**
 * New credentials: encrypts them and resumes the store (T1). What it missed is due at once. Without any, the existing
 * ones are re-encrypted with the current key, and a paused store stays paused.
 * @throws UserError when a credential that is not given does not decrypt: with all three given a lost key does not
 * matter
 */
export async function rotateStore(
  db: Db,
  secrets: Secrets,
  name: string,
  given: Partial<Credentials>,
): Promise<void> {
  const row = await storeByName(db, name);
  const { appKey = row.appKey } = given;
  const appSecret = given.appSecret ?? secrets.decrypt(row.appSecret, secretContext(row.id, 'app_secret'));
  const accessToken =
    given.accessToken ?? secrets.decrypt(row.accessToken, secretContext(row.id, 'access_token'));
  await db
    .update(temuStores)
    .set(sealed(secrets, row.id, { appKey, appSecret, accessToken }))
    .where(eq(temuStores.id, row.id));
  if (Object.values(given).some((value) => value !== undefined)) await resumeStore(db, name);
}

/** What can be changed of a store besides its credentials. */
export type StoreChange = Partial<Pick<NewStore, 'region' | 'country' | 'warehouseId' | 'apiVersion'>>;

/** Applies the given changes and resumes the store: what failed before is retried at once. */
export async function changeStore(db: Db, name: string, change: StoreChange): Promise<void> {
  const row = await storeByName(db, name);
  await db.transaction(async (tx) => {
    await tx.update(temuStores).set(change).where(eq(temuStores.id, row.id));
    // the host that serves it was learned for the old region (T15)
    if (change.region) await tx.delete(temuStoreHosts).where(eq(temuStoreHosts.storeId, row.id));
  });
  await resumeStore(db, name);
}

export async function resumeStore(db: Db, name: string): Promise<void> {
  const row = await storeByName(db, name);
  await db.transaction(async (tx) => {
    await tx
      .update(temuStores)
      .set({ active: true, pausedReason: null, pausedBy: null, nextSyncAt: sql`now()` })
      .where(eq(temuStores.id, row.id));
    await withdraw(tx, 'store-paused', [row.id]);
  });
}

export async function pauseStore(db: Db, name: string, reason: string): Promise<void> {
  const row = await storeByName(db, name);
  await db
    .update(temuStores)
    .set({ active: false, pausedReason: reason, pausedBy: 'operator' })
    .where(eq(temuStores.id, row.id));
}

/** What to do about a refusal of the whole account, as shown to operators. */
export function remedyFor(failure: Failure, name: string): string {
  const rotate = `orderfleet store rotate "${name}"`;
  switch (failure.code) {
    case 3000034:
      return `the access token has expired or was replaced: authorise the app again in Temu's seller centre, then: ${rotate} --access-token …`;
    case 3000030:
    case 3000031:
    case 3000033:
    case 5000000:
      return `the access token does not belong to this app: copy it again from Temu's seller centre, then: ${rotate} --access-token …`;
    case 5000003:
      return `this machine's IP address is not on the app's allowlist: add it in Temu's partner portal, then: orderfleet store resume "${name}"`;
    case 3000001:
    case 3000040:
      return `the signature was rejected, which means a wrong app secret: ${rotate} --app-secret …`;
    case 3000028:
      return `Temu has suspended the app: contact Temu's partner support, then: orderfleet store resume "${name}"`;
    case 3000011:
    case 3000012:
      return `this machine's clock is wrong by more than five minutes: set it (NTP), then: orderfleet store resume "${name}"`;
    case 120011072:
    case 140020001:
    case 140020015:
      return `the store belongs to another region: check its seller centre, then: orderfleet store change "${name}" --region EU, US or GLOBAL`;
    case 4000000:
    case 3000025:
    case 3000026:
    case 3000027:
      return `Temu does not know this app key: check it and the store's region, then: ${rotate} --app-key …`;
    default:
      return `check the store's credentials, then: ${rotate} …, or orderfleet store resume "${name}"`;
  }
}

/**
 * T1: this store stops, the others continue, one alert says what to do; new credentials resume it. A store that has
 * received new ones since is not stopped for its old ones.
 */
export async function pauseRefusedStore(
  db: Db | Tx,
  store: Pick<Store, 'id' | 'name' | 'appKey' | 'sealed'>,
  failure: Failure,
): Promise<void> {
  const reason = `Temu refused the store (${failure.code ?? 'no code'}: ${failure.message}); ${remedyFor(failure, store.name)}`;
  await db.transaction(async (tx) => {
    const [paused] = await tx
      .update(temuStores)
      .set({ active: false, pausedReason: reason, pausedBy: 'temu' })
      .where(
        and(
          eq(temuStores.id, store.id),
          eq(temuStores.active, true),
          eq(temuStores.appKey, store.appKey),
          eq(temuStores.appSecret, store.sealed.appSecret),
          eq(temuStores.accessToken, store.sealed.accessToken),
        ),
      )
      .returning({ id: temuStores.id });
    if (!paused) return; // another worker was first, and has notified; or the credentials are new
    await notify(tx, 'store-paused', {
      ...{ storeId: store.id, store: store.name, reason, once: crypto.randomUUID() },
    });
  });
}

/** T15's host memory in Postgres, read once per process and call: hosts rarely change. */
export function createHostMemory(db: Db): HostMemory {
  const known = new Map<string, TemuHost | undefined>();
  const keyOf = (storeId: string, api: TemuApi) => `${storeId} ${api}`;
  return {
    async get(storeId, api) {
      const key = keyOf(storeId, api);
      if (!known.has(key)) {
        const [row] = await db
          .select({ host: temuStoreHosts.host })
          .from(temuStoreHosts)
          .where(and(eq(temuStoreHosts.storeId, storeId), eq(temuStoreHosts.api, api)));
        known.set(key, row?.host);
      }
      return known.get(key);
    },
    async set(storeId, api, host) {
      known.set(keyOf(storeId, api), host);
      await db
        .insert(temuStoreHosts)
        .values({ storeId, api, host })
        .onConflictDoUpdate({
          target: [temuStoreHosts.storeId, temuStoreHosts.api],
          set: { host, learntAt: sql`now()` },
        });
    },
  };
}
