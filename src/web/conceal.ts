import { z } from 'zod';

/** What stands where something is not shown. */
export const HIDDEN = '[hidden]';

const MAIL = /[^\s@"'<>()[\]{}:;,=]+@[^\s@"'<>()[\]{}:;,=]+/g;
/** Only with a plus, as international numbers are written: bare digits are order, AWB and LR numbers. */
const PHONE = /(?<![\w+])\+\d[\d ()./-]{6,}\d/g;

/**
 * Mail addresses and international phone numbers out of a text that somebody else may have written, an error's for
 * instance (T18). Order and parcel numbers stay: without them an error says nothing.
 */
export const concealText = (text: string): string => text.replace(MAIL, HIDDEN).replace(PHONE, HIDDEN);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The name of a field, as opposed to something that a person is called. */
const isFieldName = (key: string) => /^[A-Za-z_]\w{0,39}$/.test(key);

/**
 * A job's payload as its schema knows it: known fields with values that fit are shown, all else is `[hidden]`. Queues
 * that are filled from outside may get anything, a buyer's address for instance (T18).
 */
export function concealPayload(schema: z.core.$ZodType, value: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable)
    return value === undefined || value === null ? value : concealPayload(schema.unwrap(), value);
  if (schema instanceof z.ZodObject && isRecord(value)) {
    const shown = Object.entries(value).map(([key, inner]) => {
      const field = Object.hasOwn(schema.shape, key) ? schema.shape[key] : undefined;
      return field ? [key, concealPayload(field, inner)] : [isFieldName(key) ? key : HIDDEN, HIDDEN];
    });
    return Object.fromEntries(shown);
  }
  if (schema instanceof z.ZodArray && Array.isArray(value))
    return value.map((inner) => concealPayload(schema.element, inner));
  const isLeaf = typeof value !== 'object' || value === null;
  return isLeaf && z.safeParse(schema, value).success ? concealLeaf(value) : HIDDEN;
}

const concealLeaf = (value: unknown): unknown => (typeof value === 'string' ? concealText(value) : value);

/** What our handlers return: one level of plain values (`Outcome`). */
export const concealResult = (value: unknown): unknown =>
  isRecord(value)
    ? Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [
          isFieldName(key) ? key : HIDDEN,
          typeof inner === 'object' && inner !== null ? HIDDEN : concealLeaf(inner),
        ]),
      )
    : concealLeaf(value ?? null);

/** Options of a job that BullMQ knows and that say when and how often it runs; a producer may add any others. */
const OPTIONS = [
  ...['attempts', 'backoff', 'delay', 'lifo', 'priority', 'repeat', 'timestamp'],
  ...['removeOnComplete', 'removeOnFail'],
];
/** The same of those that are objects. */
const INNER = ['age', 'count', 'delay', 'every', 'jitter', 'limit', 'offset'];

/** The named fields that are numbers, yes or no: into a text, as a backoff's type or a job's id, fits a person's name. */
function numbersOf(value: unknown, names: readonly string[] = [], ...inner: string[][]): unknown {
  if (!isRecord(value)) return typeof value === 'number' || typeof value === 'boolean' ? value : undefined;
  const kept = names.map((name) => [name, numbersOf(value[name], ...inner)] as const);
  return Object.fromEntries(kept.filter(([, one]) => one !== undefined));
}
const concealOptions = (value: unknown) => numbersOf(value, OPTIONS, INNER) ?? {};

/** A scheduler that bears no name of ours: the queue's, or its own id. */
const concealScheduler = (value: unknown) => {
  if (!isRecord(value)) return HIDDEN;
  const { id, name, queueName } = value;
  return { ...concealJobs(value), name: name === id || name === queueName ? name : HIDDEN };
};

/** By field, what Bull Board's formatters do not reach. */
const FIELDS: Record<string, (value: unknown) => unknown> = {
  failedReason: concealLeaf,
  deferredFailure: concealLeaf,
  stacktrace: (value) => (Array.isArray(value) ? value.map(concealLeaf) : []),
  opts: concealOptions,
  // a producer's own words, which none of ours sets
  ...{ deduplicationId: () => undefined, groupId: () => undefined },
  schedulers: (value) => (Array.isArray(value) ? value.map(concealScheduler) : []),
  template: () => undefined, // a scheduler's: its jobs are shown like any others
  ...{ data: (value) => value, returnValue: (value) => value }, // the formatters have been there
};

/** An answer of Bull Board's API without what people may have written into the errors and options of jobs (T18). */
export function concealJobs<T>(body: T): T {
  if (Array.isArray(body)) return body.map(concealJobs) as T;
  if (!isRecord(body)) return body;
  const shown = Object.entries(body).map(([key, value]) => [key, (FIELDS[key] ?? concealJobs)(value)]);
  return Object.fromEntries(shown) as T;
}
