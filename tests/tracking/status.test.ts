import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Advance,
  advance,
  type DatedStatus,
  isFinal,
  isNewer,
  STATUSES,
  type Standing,
  type Status,
} from '../../src/tracking/engine/status.ts';

const NEW: Standing = { status: 'pending', at: null, seen: {} };
/** A shipment that came with a status and no word of when. */
const imported = (status: Status): Standing => ({ status, at: null, seen: {} });
const hear = (words: readonly DatedStatus[], from = NEW): Standing =>
  words.reduce((standing, word) => advance(standing, word).standing, from);
/** Words one after the other, at 1, 2, 3 … */
const life = (text: string): DatedStatus[] =>
  text
    .split(' ')
    .filter(Boolean)
    .map((status, index) => ({ status: status as Status, at: index + 1 }));
const ends = (text: string, from?: Standing) => hear(life(text), from).status;

describe('C7: which of two words of one parcel counts', () => {
  const word = (means: Status | 'unchanged' | undefined, at: number | null) => ({
    means,
    at: at === null ? null : new Date(at),
  });
  test.each<
    [Status | 'unchanged' | undefined, number | null, Status | 'unchanged' | undefined, number | null]
  >([
    ['pending', 2, 'delivered', 1], // the newer one
    ['delivered', 1, 'out_for_delivery', 1], // of one moment the one that is further along
    ['out_for_delivery', 1, 'in_transit', 1],
    ['rto_in_transit', 1, 'ndr', 1],
    ['pending', 1, 'unchanged', 1],
    ['unchanged', 1, undefined, 1],
    ['pending', 1, 'delivered', null], // any time before none
    ['delivered', null, 'in_transit', null],
  ])('%s at %s before %s at %s', (means, at, other, otherAt) => {
    expect(isNewer(word(means, at), word(other, otherAt))).toBe(true);
    expect(isNewer(word(other, otherAt), word(means, at))).toBe(false);
  });
  test('of two that are the same neither', () => {
    for (const at of [1, null]) expect(isNewer(word('ndr', at), word('ndr', at))).toBe(false);
  });
});

const FINAL: Status[] = ['delivered', 'rto', 'booking_cancelled', 'lost', 'destroyed'];
const anyStatus = fc.constantFrom(...STATUSES);
const anyTime = fc.integer({ min: 1, max: 12 });
const anyWord = fc.record({ status: anyStatus, at: anyTime });

/** Rounds of a delivery: out, and back to the centre or to a failed attempt. */
const round = fc.constantFrom(
  ['out_for_delivery'],
  ['out_for_delivery', 'in_transit'],
  ['out_for_delivery', 'ndr'],
  ['ndr', 'out_for_delivery'],
  ['lost', 'in_transit'],
  ['lost', 'pending', 'in_transit'],
);
const end = fc.constantFrom(
  [],
  ['delivered'],
  ['delivered', 'rto_in_transit'],
  ['delivered', 'rto_in_transit', 'rto'],
  ['rto_in_transit'],
  ['rto_in_transit', 'rto'],
  ['rto_in_transit', 'lost'],
  ['lost'],
  ['lost', 'out_for_delivery', 'delivered'],
  ['destroyed'],
);
/** A life that follows C7 from its first word to its last, each word some time after the one before. */
const lawfulLife: fc.Arbitrary<DatedStatus[]> = fc
  .tuple(
    fc.constantFrom(
      ['pending'],
      ['in_transit'],
      ['pending', 'in_transit'],
      ['pending', 'booking_cancelled'],
      [],
    ),
    fc.array(round, { maxLength: 4 }),
    end,
    fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 20, maxLength: 20 }),
  )
  .map(([start, rounds, last, gaps]) => {
    const words = start.at(-1) === 'booking_cancelled' ? start : [...start, ...rounds.flat(), ...last];
    let at = 0;
    return words.map((status, index) => {
      at += gaps[index % gaps.length] as number;
      return { status: status as Status, at };
    });
  })
  // a failed attempt is followed by another one, or by the end, not by the way there
  .filter((words) => isLawful(words.map((word) => word.status)));

function isLawful(statuses: Status[]): boolean {
  return statuses.every((to, index) => {
    const from = statuses[index - 1];
    if (from === undefined || from === to || from === 'lost') return true;
    if (from === 'delivered') return to === 'rto_in_transit';
    if (FINAL.includes(from)) return false;
    const back: Partial<Record<Status, Status[]>> = {
      out_for_delivery: ['in_transit'],
      ndr: ['out_for_delivery'],
    };
    const way: Status[] = ['pending', 'in_transit', 'out_for_delivery', 'ndr', 'rto_in_transit'];
    const forward = FINAL.includes(to) || way.indexOf(to) > way.indexOf(from);
    return forward || (back[from]?.includes(to) ?? false);
  });
}

/** A life in any order, each word once or more often. */
const heardAnyhow = (words: DatedStatus[]) =>
  fc.array(fc.nat({ max: Math.max(words.length - 1, 0) }), { maxLength: 6 }).chain((again) => {
    const all = words.length === 0 ? [] : [...words, ...again.map((index) => words[index] as DatedStatus)];
    return fc.shuffledSubarray(all, { minLength: all.length });
  });

describe('C7: forward only', () => {
  test('a lawful life, heard in order, is followed word by word', () => {
    fc.assert(
      fc.property(lawfulLife, (words) => {
        let standing = NEW;
        for (const word of words) {
          const before = standing.status;
          const step = advance(standing, word);
          expect(step.standing.status).toBe(word.status);
          expect(step.standing.at).toBe(word.at);
          expect(step.change).toEqual(before === word.status ? null : word);
          standing = step.standing;
        }
      }),
      { numRuns: 500 },
    );
  });

  test('a lawful life ends where it ends, in whatever order and however often its words are heard', () => {
    const lives = lawfulLife.chain((words) => fc.tuple(fc.constant(words), heardAnyhow(words)));
    fc.assert(
      fc.property(lives, ([words, heard]) => {
        const last = words.at(-1);
        expect(hear(heard)).toMatchObject({ status: last?.status ?? 'pending', at: last?.at ?? null });
      }),
      { numRuns: 2_000 },
    );
  });

  test('a life that has been heard to its end is not changed by any of its words', () => {
    const lives = lawfulLife.chain((words) => fc.tuple(fc.constant(words), heardAnyhow(words)));
    fc.assert(
      fc.property(lives, ([words, again]) => {
        let standing = hear(words);
        const { status, at } = standing;
        for (const word of again) {
          const step = advance(standing, word);
          expect(step.change).toBeNull();
          expect(step.standing).toMatchObject({ status, at });
          standing = step.standing;
        }
      }),
      { numRuns: 500 },
    );
  });

  test('a word that was heard already, or an older one of the same status, changes nothing at all', () => {
    fc.assert(
      fc.property(
        fc.array(anyWord, { minLength: 1 }),
        fc.nat(),
        fc.integer({ min: 0, max: 5 }),
        (words, index, older) => {
          const standing = hear(words);
          const word = words[index % words.length] as DatedStatus;
          const step = advance(standing, { ...word, at: word.at - older });
          expect(step).toEqual({ standing, change: null });
        },
      ),
    );
  });

  test('words that do not end differently are in no need of an order', () => {
    const words = fc
      .tuple(fc.constantFrom<Status | null>(null, ...FINAL), fc.array(anyWord, { maxLength: 12 }))
      .map(([final, all]) => all.filter(({ status }) => !FINAL.includes(status) || status === final));
    const twice = words.chain((all) => fc.tuple(fc.constant(all), heardAnyhow(all)));
    fc.assert(
      fc.property(twice, ([one, other]) => {
        expect(hear(other)).toEqual(hear(one));
      }),
      { numRuns: 3_000 },
    );
  });

  test('no sequence whatsoever leaves a final status but by the rules', () => {
    const start = fc.oneof(fc.constant(NEW), anyStatus.map(imported));
    fc.assert(
      fc.property(start, fc.array(anyWord, { maxLength: 20 }), (from, words) => {
        let standing = from;
        for (const word of words) {
          const { standing: next, change } = advance(standing, word);
          if (change && isFinal(standing.status)) {
            const since = standing.at ?? Number.NEGATIVE_INFINITY;
            // lost: by anything newer. Delivered: by its way back, which must be newer
            expect(['lost', 'delivered']).toContain(standing.status);
            if (standing.status === 'lost') expect(word.at).toBeGreaterThan(since);
            else expect(Math.max(next.seen.rto_in_transit ?? 0, next.seen.rto ?? 0)).toBeGreaterThan(since);
          }
          expect(change?.status ?? standing.status).toBe(next.status);
          standing = next;
        }
      }),
      { numRuns: 3_000 },
    );
  });

  test('a change is what is heard newest of the new status, never of the future', () => {
    fc.assert(
      fc.property(fc.array(anyWord, { minLength: 1 }), (words) => {
        let standing = NEW;
        for (const [index, word] of words.entries()) {
          const { standing: next, change }: Advance = advance(standing, word);
          const told = words.slice(0, index + 1).map(({ status, at }) => `${status} ${at}`);
          if (change) expect(told).toContain(`${change.status} ${change.at}`);
          standing = next;
        }
      }),
    );
  });
});

describe('E3: ready for pickup', () => {
  test.each(['delivered', 'ndr', 'rto_in_transit', 'lost'])(
    'may be followed by %s, and is not delivered',
    (next) => {
      expect(ends('out_for_delivery ready_for_pickup')).toBe('ready_for_pickup');
      expect(isFinal('ready_for_pickup')).toBe(false);
      expect(ends(`out_for_delivery ready_for_pickup ${next}`)).toBe(next);
    },
  );
  test('of one moment it is behind out for delivery, and before delivered', () => {
    const moment = (...statuses: Status[]) => hear(statuses.map((status) => ({ status, at: 5 }))).status;
    expect(moment('ready_for_pickup', 'out_for_delivery')).toBe('ready_for_pickup');
    expect(moment('delivered', 'ready_for_pickup')).toBe('delivered');
  });
});

describe('C7: the ways back', () => {
  test.each([
    ['in_transit out_for_delivery ndr', 'ndr'],
    ['in_transit out_for_delivery in_transit', 'in_transit'],
    ['out_for_delivery ndr out_for_delivery', 'out_for_delivery'],
    ['out_for_delivery ndr ready_for_pickup', 'ready_for_pickup'],
    ['out_for_delivery ready_for_pickup in_transit', 'in_transit'],
    ['ready_for_pickup out_for_delivery', 'out_for_delivery'],
    // a lost parcel may turn up anywhere
    ...STATUSES.map((status): [string, string] => [`in_transit lost ${status}`, status]),
    ['delivered rto_in_transit', 'rto_in_transit'],
    ['delivered rto_in_transit rto', 'rto'],
  ])('%s: %s', (words, status) => {
    expect(ends(words)).toBe(status);
  });

  test.each([
    ['in_transit pending', 'in_transit'],
    ['out_for_delivery pending', 'out_for_delivery'],
    ['ndr in_transit', 'ndr'],
    ['ndr pending', 'ndr'],
    ['rto_in_transit in_transit', 'rto_in_transit'],
    ['rto_in_transit out_for_delivery', 'rto_in_transit'],
    ['rto_in_transit ndr', 'rto_in_transit'],
    ['delivered out_for_delivery', 'delivered'],
    ['delivered booking_cancelled', 'delivered'],
    ['delivered lost', 'delivered'],
    ...STATUSES.flatMap((status): [string, string][] =>
      (['rto', 'booking_cancelled', 'destroyed'] as const).map((final) => [`${final} ${status}`, final]),
    ),
  ])('no other: %s stays %s', (words, status) => {
    expect(ends(words)).toBe(status);
  });

  test('of one moment the one that is further along counts', () => {
    const moment = (...statuses: Status[]) => hear(statuses.map((status) => ({ status, at: 5 }))).status;
    expect(moment('out_for_delivery', 'in_transit')).toBe('out_for_delivery');
    expect(moment('in_transit', 'out_for_delivery')).toBe('out_for_delivery');
    expect(moment('rto_in_transit', 'delivered')).toBe('delivered');
    expect(moment('delivered', 'rto_in_transit')).toBe('delivered');
  });

  test('delivered is taken back only by a newer word', () => {
    const delivered = hear([{ status: 'delivered', at: 5 }]);
    expect(advance(delivered, { status: 'rto_in_transit', at: 4 }).change).toBeNull();
    expect(advance(delivered, { status: 'rto_in_transit', at: 5 }).change).toBeNull();
    expect(advance(delivered, { status: 'rto_in_transit', at: 6 }).change).toEqual({
      status: 'rto_in_transit',
      at: 6,
    });
  });

  test('a status without a time holds until a word may follow it', () => {
    expect(ends('pending in_transit', imported('ndr'))).toBe('ndr');
    expect(ends('out_for_delivery', imported('ndr'))).toBe('out_for_delivery');
    expect(ends('in_transit', imported('lost'))).toBe('in_transit');
    expect(ends('in_transit lost', imported('rto'))).toBe('rto');
  });
});
