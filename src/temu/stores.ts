import { and, eq, type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { Db, Tx } from '../db/client.ts';
import { notices, temuStoreHosts, temuStores } from '../db/schema/index.ts';
import type { Secrets } from '../db/secrets.ts';
import { type Failure, UserError } from '../errors.ts';
import type { HostMemory, Store, TemuApi, TemuHost } from './client.ts';

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

/** That the store is on which a row belongs to. */
export const hasActiveStore = (storeId: PgColumn): SQL =>
  sql`exists (select from ${temuStores} where ${temuStores.id} = ${storeId} and ${temuStores.active})`;

/** The store with its secrets, or undefined while it is paused or gone. */
export async function activeStore(db: Db, secrets: Secrets, id: string): Promise<Store | undefined> {
  const [row] = await db
    .select()
    .from(temuStores)
    .where(and(eq(temuStores.id, id), eq(temuStores.active, true)));
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
  // a key pasted with a blank or a line end is the commonest wrong key
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
      `There is a store named "${name}" already. To give it new credentials: store rotate "${name}" …`,
    );
  return id;
}

/** @throws UserError naming the stores there are. */
export async function storeByName(db: Db, name: string): Promise<StoreRow> {
  const rows = await db.select().from(temuStores).orderBy(temuStores.name);
  const found = rows.find((row) => row.name === name);
  if (found) return found;
  const names = rows.map((row) => `"${row.name}"`).join(', ');
  throw new UserError(
    `There is no store named "${name}". ${names ? `There are: ${names}` : 'There is none yet: store add'}`,
  );
}

/**
 * New credentials: seals them and lets the store go on (T1). What it missed meanwhile is due at once. Without any, those
 * it has are sealed anew with the current key, and a store that is paused stays so.
 * @throws UserError when one that is not given does not open: with all three given a lost key is no hindrance
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

/** Changes what was given, and lets the store go on: what was wrong before is tried again at once. */
export async function changeStore(db: Db, name: string, change: StoreChange): Promise<void> {
  const row = await storeByName(db, name);
  await db.transaction(async (tx) => {
    await tx.update(temuStores).set(change).where(eq(temuStores.id, row.id));
    // which of Temu's hosts serves it was learnt for the old region (T15)
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
    await tx
      .update(notices)
      .set({ state: 'withdrawn' })
      .where(
        and(eq(notices.state, 'pending'), eq(notices.kind, 'store-paused'), eq(notices.subject, row.id)),
      );
  });
}

export async function pauseStore(db: Db, name: string, reason: string): Promise<void> {
  const row = await storeByName(db, name);
  await db
    .update(temuStores)
    .set({ active: false, pausedReason: reason, pausedBy: 'operator' })
    .where(eq(temuStores.id, row.id));
}

/** What to do about a refusal of the whole account, for the person who reads it. */
export function remedyFor(failure: Failure, name: string): string {
  const rotate = `orderfleet store rotate "${name}"`;
  switch (failure.code) {
    case 3000034:
      return `the access token has expired or was replaced: authorise the app again in Temu's seller centre, then: ${rotate} --access-token …`;
    case 3000030:
    case 3000031:
    case 3000033:
    case 5000000:
      return `the access token does not belong to this app: copy it anew from Temu's seller centre, then: ${rotate} --access-token …`;
    case 5000003:
      return `this machine's address is not on the app's white list: add it in Temu's partner portal, then: orderfleet store resume "${name}"`;
    case 3000001:
    case 3000040:
      return `the signature was refused, which means a wrong app secret: ${rotate} --app-secret …`;
    case 3000028:
      return `Temu has suspended the app: write to Temu's partner support, then: orderfleet store resume "${name}"`;
    case 3000011:
    case 3000012:
      return `this machine's clock is wrong by more than five minutes: set it (NTP), then: orderfleet store resume "${name}"`;
    case 120011072:
    case 140020001:
    case 140020015:
      return `the store is not of this region: see in its seller centre which it is, then: orderfleet store change "${name}" --region EU, US or GLOBAL`;
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
 * T1: this store stops, the others go on, one alert says what to do; new credentials resume it. A store that has been
 * given others since is not stopped for its old ones.
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
    if (!paused) return; // another worker was first, and has told; or the credentials are new
    await tx.insert(notices).values({
      kind: 'store-paused',
      key: `store-paused-${store.id}-${crypto.randomUUID()}`,
      subject: store.id,
      payload: { store: store.name, reason },
    });
  });
}

/** T15's memory in Postgres, read once per process and call and kept: a host does not change often. */
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
