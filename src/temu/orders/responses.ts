import { z } from 'zod';
import { rows } from '../../lib/bounded-rows.ts';
import type { Result } from '../../lib/errors.ts';
import { cut, storable } from '../../lib/storable.ts';
import { type TemuApi, wrongShape } from '../client.ts';
import type { StateValue } from './status.ts';

/** Temu's ids have up to 25 characters; a Postgres index limits the length. */
export const LONGEST_ID = 100;
/** What a `timestamptz` and an ISO text of four-digit years both hold: 1970 to 9999, in Unix seconds. */
const LATEST = 253_402_300_799;
/** Above every order; sums of it fit into an integer column. */
const MOST_UNITS = 1_000_000;
/** Minor units; sums of it fit into numeric(14,2), also in a currency that is not divided. */
const MOST_MONEY = 10n ** 11n;

/** Temu's responses as we read them: only what we map (T6, T8, T9), lenient about everything else. */
const id = z
  .union([z.number(), z.bigint(), z.string()])
  .transform(String)
  .refine((value) => value.length <= LONGEST_ID, { error: `an id of more than ${LONGEST_ID} characters` });
const optionalId = id
  .nullish()
  .transform((value) => (value === undefined || value === null || value === '' ? null : value));
const text = z
  .string()
  .nullish()
  .transform((value) => (value && storable(value).trim()) || null);
/** Unix seconds; null and 0 mean "none". */
export const time = z
  .union([z.number(), z.bigint(), z.string().regex(/^\d+$/)])
  .nullish()
  .refine(
    (value) => value === null || value === undefined || (Number(value) >= 0 && Number(value) <= LATEST),
    {
      error: 'not a time in Unix seconds',
    },
  )
  .transform((value) => (value ? new Date(Number(value) * 1000) : null));
/** Temu's states have one or two digits. */
const STATE_TEXT = /^\d{1,9}$/;
/** An unknown state is named in an error, whose index limits the length. */
const LONGEST_STATE = 100;
/** T7: a number, also as text. Anything else is an unknown state, and no reason to lose the order. */
function stateOf(value: unknown): StateValue {
  if (typeof value === 'number') return value;
  if (value === undefined || value === null || typeof value === 'object') return null;
  const word = cut(storable(String(value)).trim(), LONGEST_STATE);
  return STATE_TEXT.test(word) ? Number(word) : word;
}
const parentState = z.unknown().optional().transform(stateOf);
const lineState = z.union([z.number().int(), z.string().regex(STATE_TEXT).transform(Number)]).nullish();
const quantity = z.number().int().nonnegative().max(MOST_UNITS).nullish();

/** T20: Temu's warning codes; a malformed list counts as none, and is no reason to lose the order. */
const warnings = rows(z.string()).catch([]);

export const listItem = z.object({
  parentOrderMap: z.object({
    parentOrderSn: z.string().min(1).max(LONGEST_ID),
    parentOrderStatus: parentState,
    updateTime: time.refine((value) => value !== null, { error: 'updateTime is missing' }),
    parentOrderTime: time,
    expectShipLatestTime: time,
    regionId: z.int32().nullish(),
    fulfillmentWarning: warnings,
  }),
  orderList: rows(
    z.object({
      orderSn: id,
      orderStatus: lineState,
      goodsId: optionalId,
      goodsName: text,
      skuId: optionalId,
      originalOrderQuantity: quantity,
      quantity,
      canceledQuantityBeforeShipment: quantity,
      fulfillmentWarning: warnings,
      productList: rows(z.object({ productSkuId: optionalId })).nullish(),
    }),
  )
    .nullish()
    .transform((list) => list ?? [])
    // a line is known by its orderSn: with two there is no telling which is right
    .refine((list) => new Set(list.map((row) => row.orderSn)).size === list.length, {
      error: 'the same orderSn twice',
    }),
});
export type ListItem = z.output<typeof listItem>;

export const listPage = z.object({
  // a larger total cannot be right: it would have us read empty pages for hours (R4)
  totalItemNum: z.number().int().nonnegative().max(1_000_000),
  pageItems: rows(z.unknown())
    .nullish()
    .transform((items) => items ?? []),
});
export type ListPage = z.output<typeof listPage>;

const money = z
  .object({
    amount: z
      .union([z.number().int(), z.bigint()])
      .nullish()
      .transform((amount) => (amount === undefined || amount === null ? null : BigInt(amount)))
      .refine((amount) => amount === null || (amount < MOST_MONEY && amount > -MOST_MONEY), {
        error: 'an implausible amount',
      }),
    currency: text,
  })
  .nullish()
  .transform((value) => ({ amount: value?.amount ?? null, currency: value?.currency ?? null }));

export const amountResponse = z.object({
  parentOrderMap: z.object({
    taxTotalAfterDiscount: money,
    estimatedRevenue: money,
    basePriceTotal: money,
    shippingAmountTotal: money,
    discountFromTEMU: money,
    discountFromSeller: money,
  }),
  orderList: rows(z.object({ orderSn: id, unitBasePrice: money }))
    .nullish()
    .transform((list) => list ?? []),
});
export type Amounts = z.output<typeof amountResponse>;

export const shippingResponse = z
  .object({
    regionName1: text,
    regionName2: text,
    regionName3: text,
    addressLine1: text,
    postCode: text,
    receiptName: text,
    mobile: text,
    mail: text,
  })
  .nullish()
  .transform((value) => value ?? null);
export type Shipping = z.output<typeof shippingResponse>;

/** Parses a successful response; one of another shape is a `malformed` failure that names the field. */
export function parseResponse<T>(api: TemuApi, schema: z.ZodType<T>, answer: Result<unknown>): Result<T> {
  if (!answer.ok) return answer;
  const parsed = schema.safeParse(answer.value);
  if (parsed.success) return { ok: true, value: parsed.data };
  const issue = parsed.error.issues[0];
  return wrongShape(api, `${issue?.path.join('.') || 'the result'}: ${issue?.message ?? 'unexpected'}`);
}
