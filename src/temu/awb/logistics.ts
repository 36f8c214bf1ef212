import { sql } from 'drizzle-orm';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { type RowOf, statement } from '../../db/query.ts';
import { temuLogistics } from '../../db/schema/index.ts';
import { rows } from '../../lib/bounded-rows.ts';
import { fail, ok, type Result } from '../../lib/errors.ts';
import { minutes } from '../../queue/define.ts';
import { type Store, wrongShape } from '../client.ts';
import type { OrdersDeps } from '../deps.ts';
import { type CarrierMatch, type Company, matchCarrier, normalCarrier } from './carriers.ts';
import { regionOf } from './regions.ts';

const ph = sql.placeholder;

/** A4: Temu's lists change rarely, … */
const KEEP_MS = 24 * 3_600_000;
/** … but a list that lacks the wanted carrier is trusted for this long only: Temu may have added it. */
const DOUBT_MS = minutes(3);

/** Temu lists some hundreds of carriers per region. */
const MOST_COMPANIES = 10_000;

const id = z.union([z.number(), z.bigint(), z.string()]).transform(String);
const company = z.object({
  logisticsServiceProviderId: id,
  logisticsServiceProviderName: z.string(),
  logisticsBrandName: z.string().nullish(),
});
// an array today; an object that holds one is accepted
const companies = rows(company, MOST_COMPANIES);
const companiesAnswer = z.union([
  companies,
  z.record(z.string(), z.unknown()).transform((value, context) => {
    const list = companies.safeParse(Object.values(value).find(Array.isArray));
    if (list.success) return list.data;
    context.addIssue({ code: 'custom', message: 'no list of carriers' });
    return z.NEVER;
  }),
]);
const warehousesAnswer = z.object({
  warehouseList: rows(
    z.object({
      warehouseId: z.string(),
      warehouseName: z.string().nullish(),
      defaultWarehouse: z.boolean().nullish(),
    }),
  )
    .nullish()
    .transform((list) => list ?? []),
});

export interface Warehouse {
  id: string;
  name: string | null;
  isDefault: boolean;
}

/** Temu's carriers for a store, from the cache or from Temu. */
export const listCarriers = (
  deps: OrdersDeps,
  store: Store,
  options: { signal?: AbortSignal; fresh?: boolean; keepMs?: number } = {},
) =>
  cached<Company[]>(deps, store, 'companies', options.fresh ? 0 : (options.keepMs ?? KEEP_MS), async () => {
    const region = regionOf(store.country);
    if (!region)
      return fail(
        'rejected',
        `Temu has no region for the country ${store.country}: check the store's --country`,
      );
    const answer = await deps.temu.call(
      store,
      'companies',
      { regionId: region },
      callOptions(options.signal),
    );
    if (!answer.ok) return answer;
    const parsed = companiesAnswer.safeParse(answer.value);
    if (!parsed.success) return wrongShape('companies', parsed.error.issues[0]?.message ?? 'unexpected');
    return ok(
      parsed.data.map((one) => ({
        id: one.logisticsServiceProviderId,
        name: one.logisticsServiceProviderName,
        brand: one.logisticsBrandName ?? null,
      })),
    );
  });

const warehousesOf = (deps: OrdersDeps, store: Store, signal?: AbortSignal) =>
  cached<Warehouse[]>(deps, store, 'warehouses', KEEP_MS, async () => {
    const answer = await deps.temu.call(store, 'warehouses', {}, callOptions(signal));
    if (!answer.ok) return answer;
    const parsed = warehousesAnswer.safeParse(answer.value);
    if (!parsed.success) return wrongShape('warehouses', parsed.error.issues[0]?.message ?? 'unexpected');
    return ok(
      parsed.data.warehouseList.map((one) => ({
        id: one.warehouseId,
        name: one.warehouseName ?? null,
        isDefault: one.defaultWarehouse === true,
      })),
    );
  });

const callOptions = (signal?: AbortSignal) => ({ share: 'awb' as const, ...(signal ? { signal } : {}) });

/** The store's own warehouse, else Temu's default one, else the only one. */
export async function warehouseOf(
  deps: OrdersDeps,
  store: Store,
  signal?: AbortSignal,
): Promise<Result<string>> {
  if (store.warehouseId) return ok(store.warehouseId);
  const list = await warehousesOf(deps, store, signal);
  if (!list.ok) return list;
  const chosen =
    list.value.find(({ isDefault }) => isDefault) ?? (list.value.length === 1 ? list.value[0] : undefined);
  if (chosen) return ok(chosen.id);
  await forget(deps, store, 'warehouses');
  const names = list.value.map(({ id, name }) => `${name ?? 'unnamed'} (${id})`).join(', ') || 'none';
  return fail(
    'sellerMustAct',
    `Temu has no default warehouse for this store (${names}): choose one in the seller centre, or add the store with --warehouse`,
  );
}

/** A4: the provider id for a carrier's name: pinned, or from the cached list; before "no match", from a fresh one. */
export async function resolveCarrier(
  deps: OrdersDeps,
  store: Store,
  carrier: string,
  pins: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<Result<CarrierMatch>> {
  const pin = pins[normalCarrier(carrier)];
  if (pin) return ok(matchCarrier(carrier, [], pin));
  const matchBy = async (keepMs: number): Promise<Result<CarrierMatch>> => {
    const list = await listCarriers(deps, store, { keepMs, ...(signal ? { signal } : {}) });
    return list.ok ? ok(matchCarrier(carrier, list.value, undefined)) : list;
  };
  const match = await matchBy(KEEP_MS);
  return match.ok && !match.value.ok ? await matchBy(DOUBT_MS) : match;
}

const isOf = (storeId: unknown, what: unknown) =>
  sql`${temuLogistics.storeId} = ${storeId} and ${temuLogistics.what} = ${what}`;

const KEPT = { list: temuLogistics.list, fetchedAt: temuLogistics.fetchedAt };
type List = RowOf<typeof KEPT>;
const LIST = statement(
  KEPT,
  (read) => sql`select ${read} from ${temuLogistics} where ${isOf(ph('storeId'), ph('what'))}`,
);

/** A list is read again after this long: some hundred carriers, for each of a hundred pushes a second (P6). */
const RECENT_MS = 1_000;
const recent = new LRUCache<string, { readAt: number; row: List | undefined }>({ max: 100 });

async function listOf({ db, clock }: OrdersDeps, storeId: string, what: string): Promise<List | undefined> {
  const key = `${storeId} ${what}`;
  const known = recent.get(key);
  if (known?.row && Math.abs(clock() - known.readAt) < RECENT_MS) return known.row;
  const [read] = await LIST.run(db, { storeId, what });
  // the same list stays the same object (carriers.ts)
  const row = read && known?.row?.fetchedAt.getTime() === read.fetchedAt.getTime() ? known.row : read;
  recent.set(key, { readAt: clock(), row });
  return row;
}

async function cached<T>(
  deps: OrdersDeps,
  { id: storeId }: Store,
  what: 'companies' | 'warehouses',
  keepMs: number,
  ask: () => Promise<Result<T>>,
): Promise<Result<T>> {
  const { db, clock } = deps;
  const row = await listOf(deps, storeId, what);
  if (row && row.fetchedAt.getTime() > clock() - keepMs) return ok(row.list as T);
  const answer = await ask();
  if (!answer.ok) return answer;
  const fetched = { list: answer.value, fetchedAt: new Date(clock()) };
  recent.delete(`${storeId} ${what}`);
  await db
    .insert(temuLogistics)
    .values({ storeId, what, ...fetched })
    .onConflictDoUpdate({ target: [temuLogistics.storeId, temuLogistics.what], set: fetched });
  return answer;
}

/** A list that did not help is fetched again next time: the seller is asked to change it. */
async function forget({ db }: OrdersDeps, store: Store, what: 'companies' | 'warehouses'): Promise<void> {
  await db.delete(temuLogistics).where(isOf(store.id, what));
  recent.delete(`${store.id} ${what}`);
}
