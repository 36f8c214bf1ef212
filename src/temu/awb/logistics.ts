import { z } from 'zod';
import { fail, ok, type Result } from '../../errors.ts';
import { minutes } from '../../queue/define.ts';
import { rows } from '../../rows.ts';
import { type Store, wrongShape } from '../client.ts';
import type { OrdersDeps } from '../orders/deps.ts';
import { type CarrierMatch, type Company, matchCarrier, normalCarrier } from './carriers.ts';
import { regionOf } from './regions.ts';

/** A4: Temu's lists change rarely, … */
const KEEP_MS = 24 * 3_600_000;
/** … but one without the carrier that is wanted is believed for this long only: Temu may have a new one by now. */
const DOUBT_MS = minutes(3);

/** Of all the world's carriers Temu lists some hundreds to a region. */
const MOST_COMPANIES = 10_000;

const id = z.union([z.number(), z.bigint(), z.string()]).transform(String);
const company = z.object({
  logisticsServiceProviderId: id,
  logisticsServiceProviderName: z.string(),
  logisticsBrandName: z.string().nullish(),
});
// an array today; an object that holds one is tolerated
const companies = rows(company, MOST_COMPANIES);
const companiesAnswer = z.union([
  companies,
  z.record(z.string(), z.unknown()).transform((value, context) => {
    const list = companies.safeParse(Object.values(value).find(Array.isArray));
    if (list.success) return list.data;
    context.addIssue({ code: 'custom', message: 'no list of companies' });
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

/** Temu's carriers for a store, from the day's list or from Temu. */
export const companiesOf = (
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
    `Temu names no default warehouse of this store (${names}): choose one in the seller centre, or add the store with --warehouse`,
  );
}

/** A4: the provider id for a carrier's name: pinned, or by the day's list; by a fresh one before there is no match. */
export async function providerOf(
  deps: OrdersDeps,
  store: Store,
  carrier: string,
  signal?: AbortSignal,
): Promise<Result<CarrierMatch>> {
  const [pin] = await deps.db.$client<{ providerId: string }[]>`
    select provider_id as "providerId" from carrier_pins where store_id = ${store.id} and carrier = ${normalCarrier(carrier)}`;
  if (pin) return ok(matchCarrier(carrier, [], pin.providerId));
  const matchBy = async (keepMs: number): Promise<Result<CarrierMatch>> => {
    const list = await companiesOf(deps, store, { keepMs, ...(signal ? { signal } : {}) });
    return list.ok ? ok(matchCarrier(carrier, list.value, undefined)) : list;
  };
  const match = await matchBy(KEEP_MS);
  return match.ok && !match.value.ok ? await matchBy(DOUBT_MS) : match;
}

async function cached<T>(
  { db, clock }: OrdersDeps,
  store: Store,
  what: 'companies' | 'warehouses',
  keepMs: number,
  ask: () => Promise<Result<T>>,
): Promise<Result<T>> {
  const [row] = await db.$client<{ list: T }[]>`
    select list from temu_logistics
    where store_id = ${store.id} and what = ${what} and fetched_at > ${new Date(clock() - keepMs)}`;
  if (row) return ok(row.list);
  const answer = await ask();
  if (answer.ok)
    await db.$client`
      insert into temu_logistics (store_id, what, list, fetched_at)
      values (${store.id}, ${what}, ${db.$client.json(answer.value as never)}, ${new Date(clock())})
      on conflict (store_id, what) do update set list = excluded.list, fetched_at = excluded.fetched_at`;
  return answer;
}

/** A list that did not help is asked for again: the seller is being told to change it. */
const forget = ({ db }: OrdersDeps, store: Store, what: 'companies' | 'warehouses') =>
  db.$client`delete from temu_logistics where store_id = ${store.id} and what = ${what}`;
