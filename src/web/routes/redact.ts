import { z } from 'zod';

/** Placeholder for hidden values. */
export const HIDDEN = '[hidden]';

const MAIL = /[^\s@"'<>()[\]{}:;,=]+@[^\s@"'<>()[\]{}:;,=]+/g;
/** Only with a plus: bare digits are order, AWB and LR numbers. */
const PHONE = /(?<![\w+])\+\d[\d ()./-]{6,}\d/g;

/**
 * Removes mail addresses and international phone numbers from foreign texts, e.g. an error's (T18). Order and parcel
 * numbers stay: without them an error is useless.
 */
export const redactText = (text: string): string => text.replace(MAIL, HIDDEN).replace(PHONE, HIDDEN);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A field's name, as opposed to a person's. */
const isFieldName = (key: string) => /^[A-Za-z_]\w{0,39}$/.test(key);

/**
 * A job's payload: fields that match the queue's schema are shown, everything else is `[hidden]`. Queues that are filled
 * from outside may get anything, e.g. a buyer's address (T18).
 */
export function redactPayload(schema: z.core.$ZodType, value: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable)
    return value === undefined || value === null ? value : redactPayload(schema.unwrap(), value);
  if (schema instanceof z.ZodObject && isRecord(value)) {
    const shown = Object.entries(value).map(([key, inner]) => {
      const field = Object.hasOwn(schema.shape, key) ? schema.shape[key] : undefined;
      return field ? [key, redactPayload(field, inner)] : [isFieldName(key) ? key : HIDDEN, HIDDEN];
    });
    return Object.fromEntries(shown);
  }
  if (schema instanceof z.ZodArray && Array.isArray(value))
    return value.map((inner) => redactPayload(schema.element, inner));
  const isLeaf = typeof value !== 'object' || value === null;
  return isLeaf && z.safeParse(schema, value).success ? redactLeaf(value) : HIDDEN;
}

const redactLeaf = (value: unknown): unknown => (typeof value === 'string' ? redactText(value) : value);

/** Our handlers' results: one level of plain values (`Outcome`). */
export const redactResult = (value: unknown): unknown =>
  isRecord(value)
    ? Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [
          isFieldName(key) ? key : HIDDEN,
          typeof inner === 'object' && inner !== null ? HIDDEN : redactLeaf(inner),
        ]),
      )
    : redactLeaf(value ?? null);

/** BullMQ's options for when and how often a job runs; a producer may add any others. */
const OPTIONS = [
  ...['attempts', 'backoff', 'delay', 'lifo', 'priority', 'repeat', 'timestamp'],
  ...['removeOnComplete', 'removeOnFail'],
];
/** The same inside options that are objects. */
const INNER = ['age', 'count', 'delay', 'every', 'jitter', 'limit', 'offset'];

/** Only the listed fields that are numbers or booleans: a text, such as a job's id, may hold a person's name. */
function numbersOf(value: unknown, names: readonly string[] = [], ...inner: string[][]): unknown {
  if (!isRecord(value)) return typeof value === 'number' || typeof value === 'boolean' ? value : undefined;
  const kept = names.map((name) => [name, numbersOf(value[name], ...inner)] as const);
  return Object.fromEntries(kept.filter(([, one]) => one !== undefined));
}
const redactOptions = (value: unknown) => numbersOf(value, OPTIONS, INNER) ?? {};

/** Hides a scheduler's name unless it is the queue's or its own id. */
const redactScheduler = (value: unknown) => {
  if (!isRecord(value)) return HIDDEN;
  const { id, name, queueName } = value;
  return { ...redactJobs(value), name: name === id || name === queueName ? name : HIDDEN };
};

/** Per field: what Bull Board's formatters do not cover. */
const FIELDS: Record<string, (value: unknown) => unknown> = {
  failedReason: redactLeaf,
  deferredFailure: redactLeaf,
  stacktrace: (value) => (Array.isArray(value) ? value.map(redactLeaf) : []),
  opts: redactOptions,
  // texts of foreign producers; ours set none
  ...{ deduplicationId: () => undefined, groupId: () => undefined },
  schedulers: (value) => (Array.isArray(value) ? value.map(redactScheduler) : []),
  template: () => undefined, // a scheduler's: its jobs are shown like any others
  ...{ data: (value) => value, returnValue: (value) => value }, // redacted by the formatters
};

/** A response of Bull Board's API without personal data in the errors and options of jobs (T18). */
export function redactJobs<T>(body: T): T {
  if (Array.isArray(body)) return body.map(redactJobs) as T;
  if (!isRecord(body)) return body;
  const shown = Object.entries(body).map(([key, value]) => [key, (FIELDS[key] ?? redactJobs)(value)]);
  return Object.fromEntries(shown) as T;
}
