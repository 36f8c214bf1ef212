import type fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type {
  Courier,
  CourierRequest,
  Limit,
  Scan,
  Selection,
} from '../../../src/tracking/toolkit/courier.ts';
import { connect, expectHardy, failure, items, PERSONAL, read, scan, settingsOf } from './reading.ts';

type Env = Record<string, string>;

/** A request as it must leave, from these settings. */
interface Sent {
  env: Env;
  numbers: string[];
  sends: Partial<CourierRequest>;
  /** What goes with it for the secret `secret`, in the order in which it is tried. */
  secrets?: Record<string, string>[];
  login?: Partial<CourierRequest>;
}

/** An answer, and what is read of it by number. */
interface Read {
  what: string;
  /** JSON, or a text. */
  body: unknown;
  asked: string[];
  status?: number;
  says: Record<string, unknown>;
}

/** Words, with what they mean by a table that was written without looking at the courier's own. */
interface Statuses {
  words: readonly (readonly [means: string, word: string])[];
  /** The number that `bodies` speak of. */
  number: string;
  /** Answers that have the word, each in a form of its own. */
  bodies(word: string): unknown[];
  /** What is kept of the first of them. */
  kept?(word: string): Partial<Scan>;
}

interface Four {
  request: readonly Sent[];
  /** Settings that are not enough to switch it on, beside none. */
  off?: readonly Env[];
  /** How many and how often. */
  rhythm: {
    batch: number;
    everyMs: number;
    mostPerRun?: number;
    limit: Limit | undefined;
    atOnce: number;
    selection?: Partial<Selection>;
  };
  read: readonly Read[];
  /** Answers without parcels, to a request for these numbers (two unless told), and the failure that each one is. */
  errors: readonly (readonly [body: unknown, status: number, kind: string])[];
  askedInErrors?: string[];
  /** Answers that nearly are ones, about this number (R4). */
  hostile: (number: string) => fc.Arbitrary<unknown>;
  /** An answer with persons in all places that have some; all of it is asked for by `askedInPersons`. */
  persons: (persons: typeof PERSONAL) => unknown;
  askedInPersons: string[];
  statuses: readonly Statuses[];
}

/**
 * The four tests that every courier has (C15): what it sends, what it reads, what is no answer, what its words mean.
 * What is left empty fails, and says what to fill in.
 */
// biome-ignore lint/suspicious/noExplicitAny: couriers of any settings
export function describeCourier(courier: Courier<any>, four: Four): void {
  const { name, title } = courier;
  const fillIn = (list: readonly unknown[], what: string) => {
    if (list.length === 0) test('is to be filled in', () => expect.fail(`${title}: fill in ${what}`));
  };

  describe('request', () => {
    fillIn(
      four.request,
      '`request`: the call as the courier’s own documentation has it, with its address, and the secret’s header',
    );
    test.each(four.request)('C1, C11: what leaves, of $numbers: $sends', ({ env, numbers, ...expected }) => {
      const connection = connect(courier, env);
      expect(connection?.request(numbers)).toMatchObject(expected.sends);
      if (expected.login) expect(connection?.access.login?.request).toMatchObject(expected.login);
      if (expected.secrets)
        expect(connection?.access.schemes.map((scheme) => scheme('secret'))).toEqual(expected.secrets);
    });
    test.each([{}, ...(four.off ?? [])])('is off with no more than %j', (env) => {
      expect(connect(courier, env)).toBeUndefined();
    });
    test('C1: how many and how often', () => {
      const { limit, atOnce, selection = {}, ...rhythm } = four.rhythm;
      expect(courier).toMatchObject(rhythm);
      expect(courier.mostPerRun).toBe(rhythm.mostPerRun);
      expect(courier.limit?.(settingsOf(courier))).toEqual(limit);
      expect(courier.atOnce(settingsOf(courier))).toBe(atOnce);
      expect(courier.selection).toMatchObject(selection);
    });
  });

  describe('read', () => {
    fillIn(
      four.read,
      `\`read\`: recorded answers, without persons, in tests/fixtures/couriers/${name}.*.json, and what is to be read of each`,
    );
    test.each(four.read)('C4: $what', ({ body, asked, status = 200, says }) => {
      expect(items(courier, body, asked, { status })).toEqual(says);
    });
    test('T18: no person leaves the reader', () => {
      const body = four.persons(PERSONAL);
      for (const personal of PERSONAL) expect(JSON.stringify(body)).toContain(personal);
      const found = items(courier, body, four.askedInPersons);
      // nothing could leave an answer in which nothing is found
      expect(Object.keys(found)).toEqual(four.askedInPersons);
      for (const personal of PERSONAL) expect(JSON.stringify(found)).not.toContain(personal);
    });
  });

  describe('errors', () => {
    fillIn(
      four.errors,
      '`errors`: what it says of numbers it does not know, of a wrong key, and of too many requests, each with its kind',
    );
    test.each(four.errors)('C9, C10, C11: %j (%i): %s', (body, status, kind) => {
      expect(failure(courier, body, four.askedInErrors ?? ['1', '2'], { status }).kind).toBe(kind);
    });
    test('R4: nothing throws', () => {
      expectHardy(courier, four.hostile);
      expect(read(courier, '', ['1']).ok).toBe(false);
    });
  });

  describe('statuses', () => {
    fillIn(
      four.statuses.flatMap(({ words }) => words),
      '`statuses`: every word that the courier documents, as "status: WORD WORD" a line',
    );
    const tables = four.statuses.filter(({ words }) => words.length > 0);
    describe.each(tables)('by $number', ({ words, number, bodies, kept }) => {
      test.each(words)('C4, C5: %s: %s', (means, word) => {
        const [first, ...others] = bodies(word);
        expect(scan(courier, first, number)).toMatchObject({ means, ...kept?.(word) });
        for (const body of others) expect(scan(courier, body, number).means).toBe(means);
      });
    });
  });
}
