import { z } from 'zod';
import { transportFaults } from './control-schema.ts';
import { COURIERS, standInOf, standIns } from './couriers/catalogue.ts';
import { type CourierName, EVENTS, LIVES } from './couriers/model.ts';
import type { Own } from './couriers/stand-in.ts';

/** Schemas of control requests about couriers, Slack, webhooks and mails. */
export const courier = z.enum(COURIERS);
const life = z.enum(LIVES);
const headers = z.record(z.string(), z.string());
const status = z.int().min(200).max(599);

const parcel = z.strictObject({
  api: courier,
  number: z.string().min(1).optional(),
  reference: z.string().optional(),
  /** Epoch milliseconds. */
  bookedAt: z.number().optional(),
  life: life.optional(),
  seed: z.int().min(0).optional(),
});

const parcelMany = z.strictObject({
  api: courier,
  count: z.int().min(0).max(1_000_000),
  seed: z.int().optional(),
  days: z.number().min(0).optional(),
  mix: z.partialRecord(life, z.number().min(0)).optional(),
  references: z.array(z.string()).optional(),
});

export const parcels = z.union([
  z.strictObject({ recorded: z.literal(true) }),
  z.strictObject({ list: z.array(parcel).max(200_000) }),
  parcelMany,
  parcel,
]);

export const parcelList = z.strictObject({
  api: courier.optional(),
  number: z.string().optional(),
  limit: z.coerce.number().int().min(1).default(100),
  now: z.coerce.number().optional(),
});

export const word = z.strictObject({
  api: courier.optional(),
  event: z.enum(EVENTS).optional(),
  status: z.string().optional(),
  type: z.string().optional(),
  code: z.union([z.string(), z.number()]).optional(),
  label: z.string().optional(),
  at: z.number().optional(),
  pickedUpAt: z.number().optional(),
  deliveredAt: z.number().optional(),
  rtoStartedAt: z.number().optional(),
  reference: z.string().optional(),
  raw: z.unknown().optional(),
  unknown: z.boolean().optional(),
  ended: z.boolean().optional(),
});

const limit = z
  .strictObject({
    max: z.int().min(0),
    perSeconds: z.number().positive(),
    status: status.optional(),
    headers: headers.optional(),
    body: z.string().optional(),
    countsRefused: z.boolean().optional(),
  })
  .nullable();

const shared = {
  limit: limit.optional(),
  loginLimit: limit.optional(),
  latencyMs: z.number().min(0).optional(),
  /** Changes of the account. */
  account: z
    .strictObject({
      user: z.string().optional(),
      password: z.string().optional(),
      tokenSeconds: z.number().positive().optional(),
      lockAfter: z.int().min(1).optional(),
      lockSeconds: z.number().min(0).optional(),
      revokesEarlier: z.boolean().optional(),
    })
    .optional(),
  /** Revokes all issued tokens. */
  revokeTokens: z.literal(true).optional(),
  unlock: z.literal(true).optional(),
};
const ownOf = (settings: Own) =>
  Object.fromEntries(Object.entries(settings).map(([name, field]) => [name, field.unwrap().optional()]));

/** Settings that can be changed at run time; a setting of another courier passes here and is rejected by name. */
export const courierChange = (name: CourierName) => {
  const others = standIns.flatMap(({ settings }) => Object.keys(settings));
  const passing = Object.fromEntries(others.map((key) => [key, z.unknown().optional()]));
  return z.strictObject({ ...passing, ...ownOf(standInOf(name).settings), ...shared });
};

export const courierLedger = z.strictObject({
  kind: z.enum(['track', 'login', 'other']).optional(),
  outcome: z.string().optional(),
  since: z.coerce.number().optional(),
  number: z.string().optional(),
  limit: z.coerce.number().int().min(1).default(1000),
  /** Milliseconds: the most tracking requests in any span of this length. */
  peakOver: z.coerce.number().positive().optional(),
});

export const httpFault = z.strictObject({
  on: z.string().optional(),
  number: z.string().optional(),
  times: z.int().min(1).optional(),
  after: z.int().min(0).optional(),
  probability: z.number().min(0).max(1).optional(),
  do: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('limited'),
      status: status.optional(),
      headers: headers.optional(),
      body: z.string().optional(),
    }),
    z.strictObject({ kind: z.literal('unauthorized') }),
    ...transportFaults,
  ]),
});

export const trouble = z.strictObject({
  at: z.enum(['connect', 'auth', 'from', 'rcpt', 'data']).optional(),
  drop: z.boolean().optional(),
  code: z.int().min(400).max(599).optional(),
  message: z.string().optional(),
  times: z.int().min(1).optional(),
  keep: z.boolean().optional(),
  recipient: z.string().optional(),
});
