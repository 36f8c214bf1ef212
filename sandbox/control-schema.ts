import { z } from 'zod';

/** Schemas of control requests; unknown keys are rejected, to reveal typing errors. */
const host = z.enum(['eu', 'us', 'global']);
const product = z.strictObject({ temu_sku_id: z.string().regex(/^\d+$/), sku: z.string().min(1) });

const company = z.strictObject({
  id: z.int().min(1),
  name: z.string().min(1),
  brand: z.string().optional(),
  regions: z.array(z.int()).optional(),
  pattern: z.string().optional(),
});
const warehouse = z.strictObject({
  id: z.string().min(1),
  name: z.string(),
  isDefault: z.boolean(),
  regionId: z.int(),
  managementType: z.int().nullable(),
  buyShippingLabel: z.boolean(),
});

const shop = z.strictObject({
  name: z.string().min(1),
  appKey: z.string().min(1),
  appSecret: z.string().min(1),
  accessToken: z.string().min(1),
  region: z.enum(['EU', 'US', 'GLOBAL']),
  country: z.string().regex(/^[A-Z]{2}$/, 'two capital letters (ISO-2)'),
  hosts: z.array(host).optional(),
  wrongHostAnswer: z.enum(['unknownApp', 'wrongRegion']).optional(),
  amountScope: z.boolean().optional(),
  deniedTypes: z.array(z.string()).optional(),
  products: z.array(product).optional(),
  companies: z.array(company).optional(),
  warehouses: z.array(warehouse).optional(),
  shipsItself: z.boolean().optional(),
});

export const shops = z.union([z.strictObject({ demo: z.literal(true) }), shop]);

export const shopChange = z.strictObject({
  revoked: z.boolean().optional(),
  accessToken: z.string().min(1).optional(),
  amountScope: z.boolean().optional(),
  deniedTypes: z.array(z.string()).optional(),
  hosts: z.array(host).optional(),
  wrongHostAnswer: z.enum(['unknownApp', 'wrongRegion']).optional(),
  products: z.array(product).optional(),
  companies: z.array(company).optional(),
  warehouses: z.array(warehouse).optional(),
  shipsItself: z.boolean().optional(),
});

export const byShop = z.strictObject({ shop: z.string() });

export const orders = z.strictObject({
  shop: z.string(),
  count: z.int().min(0).max(200_000).default(100),
  seed: z.int().default(1),
  days: z.number().positive().max(730).default(30),
  /** Adds the recorded orders, moved to an hour ago. */
  recorded: z.boolean().default(false),
});

export const orderList = z.strictObject({
  shop: z.string(),
  limit: z.coerce.number().int().min(1).default(100),
});

export const change = z.strictObject({
  shop: z.string(),
  count: z.int().min(1).default(1),
  seed: z.int().default(1),
  parentOrderSn: z.string().optional(),
  /** Fields of the order to set instead of a random change. */
  set: z.record(z.string(), z.unknown()).optional(),
  keepUpdateTime: z.boolean().default(false),
});

export const expected = z.strictObject({
  shop: z.string(),
  parentOrderSn: z.string().optional(),
  now: z.coerce.number().optional(),
  addressSeen: z.stringbool().default(false),
});

export const ship = z.strictObject({
  shop: z.string(),
  parentOrderSn: z.string(),
  trackingNumber: z.string().min(1).optional(),
  carrierId: z.int().optional(),
});

const errorFields = { errorCode: z.int(), errorMsg: z.string() };
const apiError = z.strictObject(errorFields);
const ms = z.number().min(0);
const handled = z.boolean().optional();
const status = z.int().min(200).max(599);

/** Faults of any stand-in that speaks HTTP. */
export const transportFaults = [
  z.strictObject({ kind: z.literal('timeout'), ms, handled }),
  z.strictObject({ kind: z.literal('delay'), ms, late: z.boolean().optional() }),
  z.strictObject({ kind: z.literal('cut') }),
  z.strictObject({ kind: z.literal('lostAnswer') }),
  z.strictObject({ kind: z.literal('answerThenCut') }),
  z.strictObject({ kind: z.literal('html'), status, handled }),
  z.strictObject({ kind: z.literal('truncatedJson') }),
  z.strictObject({ kind: z.literal('wrongJson'), body: z.unknown().optional(), handled }),
  z.strictObject({ kind: z.literal('deepJson'), depth: z.int().min(1).max(1_000_000), handled }),
  z.strictObject({ kind: z.literal('invalidUtf8') }),
  z.strictObject({ kind: z.literal('slowBody'), bytesPerSecond: z.number().positive() }),
  z.strictObject({
    kind: z.literal('status'),
    status,
    headers: z.record(z.string(), z.string()).optional(),
    body: z.string().optional(),
    type: z.string().optional(),
    handled,
  }),
  z.strictObject({ kind: z.literal('hang'), handled }),
  z.strictObject({ kind: z.literal('hugeBody'), bytes: z.int().min(1), handled }),
  z.strictObject({ kind: z.literal('redirect'), location: z.string(), status: status.optional() }),
] as const;

const action = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('throttle') }),
  z.strictObject({ kind: z.literal('error'), ...errorFields, handled }),
  z.strictObject({ kind: z.literal('innerError'), ...errorFields, handled }),
  z.strictObject({ kind: z.literal('bothErrors'), inner: apiError, outer: apiError, handled }),
  ...transportFaults,
]);

export const fault = z.strictObject({
  match: z
    .strictObject({
      type: z.string().optional(),
      appKey: z.string().optional(),
      parentOrderSn: z.string().optional(),
      trackingNumber: z.string().optional(),
      host: host.optional(),
    })
    .optional(),
  times: z.int().min(1).optional(),
  probability: z.number().min(0).max(1).optional(),
  do: action,
});

export const clock = z.strictObject({ offsetMs: z.number() });

export const ledger = z.strictObject({
  limit: z.coerce.number().int().min(1).default(1000),
  since: z.coerce.number().optional(),
  until: z.coerce.number().optional(),
  host: z.string().optional(),
  type: z.string().optional(),
  appKey: z.string().optional(),
  parentOrderSn: z.string().optional(),
  page: z.coerce.number().optional(),
  outcome: z.string().optional(),
});

export const effects = z.strictObject({
  limit: z.coerce.number().int().min(1).default(1000),
  shop: z.string().optional(),
  parentOrderSn: z.string().optional(),
  orderSn: z.string().optional(),
  trackingNumber: z.string().optional(),
  via: z.enum(['confirm', 'update']).optional(),
  outcome: z.string().optional(),
  fault: z.string().optional(),
  since: z.coerce.number().optional(),
});

export const utilisation = z.strictObject({
  appKey: z.string(),
  from: z.coerce.number(),
  to: z.coerce.number(),
  qps: z.coerce.number().positive().optional(),
});
