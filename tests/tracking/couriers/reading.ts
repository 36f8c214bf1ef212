import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { expect } from 'vitest';
import { z } from 'zod';
import type { Connection, Courier, Item, Scan } from '../../../src/tracking/toolkit/courier.ts';

const FOLDER = path.join(import.meta.dirname, '../../fixtures/couriers');

export const recordedText = (file: string): string => readFileSync(path.join(FOLDER, file), 'utf8');
// biome-ignore lint/suspicious/noExplicitAny: recorded answers are taken apart at will
export const recorded = (file: string): any => JSON.parse(recordedText(file));

/** India's noon of 10 September 2026: after everything that was recorded. */
export const NOW = Date.parse('2026-09-10T12:00:00+05:30');
export const at = (indian: string) => new Date(`${indian}+05:30`);

// biome-ignore lint/suspicious/noExplicitAny: couriers of any settings
type AnyCourier = Courier<any>;

interface Answer {
  status?: number;
  headers?: Record<string, string>;
  now?: number;
}

export function read(
  courier: AnyCourier,
  body: unknown,
  asked: string[],
  { status = 200, headers = {}, now = NOW }: Answer = {},
) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return courier.read({ status, headers, text }, asked, now);
}

/** What an answer says; fails the test for a failure. */
export function items(courier: AnyCourier, body: unknown, asked: string[], answer?: Answer) {
  const result = read(courier, body, asked, answer);
  if (!result.ok) throw new Error(`${result.failure.kind}: ${result.failure.message}`);
  return Object.fromEntries(result.value);
}

export function scan(courier: AnyCourier, body: unknown, number: string, answer?: Answer): Scan {
  const item = items(courier, body, [number], answer)[number];
  if (item?.is !== 'scan') throw new Error(`no scan: ${JSON.stringify(item)}`);
  return item;
}

export function failure(courier: AnyCourier, body: unknown, asked: string[], answer?: Answer) {
  const result = read(courier, body, asked, answer);
  if (result.ok) throw new Error(`no failure: ${JSON.stringify([...result.value])}`);
  return result.failure;
}

/** The courier's settings as the environment would give them. */
export const settingsOf = <S extends z.ZodRawShape>(courier: Courier<S>, env: Record<string, string> = {}) =>
  z.object(courier.settings).parse(env) as z.output<z.ZodObject<S>>;
export const connect = (courier: AnyCourier, env: Record<string, string>): Connection | undefined =>
  courier.connect(settingsOf(courier, env));

/** A courier's table as the specification has it: "status: WORD WORD" per line. */
export const rows = (table: string): [status: string, word: string][] =>
  table
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [status = '', words = ''] = line.split(':');
      return words
        .split(/\s+/)
        .filter(Boolean)
        .map((word): [string, string] => [status.trim(), word]);
    });

/** A person, as couriers tell of one: nothing of it may leave a reader. */
export const PERSONAL = ['Asha Rao', '9876543210', '12 Lake Road', 'asha@example.org', '77.5945'];

/** R4: whatever comes, a reader answers with a Result, about the numbers that were asked and no others. */
export function expectHardy(courier: AnyCourier, bodies: (number: string) => fc.Arbitrary<unknown>) {
  const number = 'AWB1';
  const answer = fc.record({
    status: fc.constantFrom(200, 202, 302, 400, 404, 413, 422),
    text: fc.oneof(
      fc.string(),
      fc.json(),
      bodies(number).map((body) => JSON.stringify(body)),
    ),
    asked: fc.constantFrom([number], [number, 'awb2'], []),
  });
  fc.assert(
    fc.property(answer, ({ status, text, asked }) => {
      const result = courier.read({ status, headers: {}, text }, asked, NOW);
      if (!result.ok) {
        expect(['rejected', 'credentials', 'throttled', 'malformed']).toContain(result.failure.kind);
        return;
      }
      for (const [name, item] of result.value) {
        expect(asked).toContain(name);
        expectStorable(item);
      }
    }),
    { numRuns: 500 },
  );
}

function expectStorable(item: Item) {
  expect(['scan', 'notFound', 'ended']).toContain(item.is);
  if (item.is !== 'scan') return;
  expect(item.rawStatus).toMatch(/^[\p{L}\p{N}_-]{1,130}$/u);
  expect(item.courierStatus).not.toMatch(/[\p{Cc}\p{Cs}]/u);
  for (const time of [item.at, item.pickedUpAt, item.deliveredAt, item.rtoStartedAt])
    if (time) expect(Number.isNaN(time.getTime())).toBe(false);
}

/** Values of wrong types, and strings that are nearly right. */
export const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(
    null,
    [],
    {},
    { toString: '', valueOf: 0 },
    '',
    'NA',
    0,
    -1,
    1e300,
    true,
    '\u0000',
    '\ud800',
    'AWB1',
    'Delivered',
    'UD',
    'DL',
  ),
  fc.constantFrom('2026-09-01T10:00:00', '2026-13-45', '0000-00-00 00:00:00', '9999-12-31T23:59:59'),
  fc.string(),
  fc.jsonValue({ maxDepth: 2 }),
);
