/**
 * Seeded pseudo-random numbers (mulberry32). The sandbox never calls Math.random for what it serves, so that a
 * failing run can be repeated from its seed alone.
 */
export interface Random {
  /** A float in [0, 1). */
  next(): number;
  /** An integer from min to max, both included. */
  int(min: number, max: number): number;
  /** True with the given probability (0 to 1). */
  chance(probability: number): boolean;
  /** One element. Throws on an empty list. */
  pick<T>(list: readonly T[]): T;
  /** One element by weight. */
  weighted<T>(list: readonly (readonly [T, number])[]): T;
  /** A copy in another order. */
  shuffle<T>(list: readonly T[]): T[];
  /** Exactly n decimal digits, the first one not 0 unless `leadingZero`. */
  digits(n: number, leadingZero?: boolean): string;
  /** The inner state: `createRandom(state())` continues from here. */
  state(): number;
}

export function createRandom(seed: number): Random {
  let a = seed >>> 0;
  const next = (): number => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const int = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  const pick = <T>(list: readonly T[]): T => {
    if (list.length === 0) throw new Error('pick: the list is empty');
    return list[int(0, list.length - 1)] as T;
  };
  return {
    next,
    int,
    pick,
    chance: (probability) => next() < probability,
    weighted: (list) => {
      let left = next() * list.reduce((sum, [, weight]) => sum + weight, 0);
      for (const [value, weight] of list) {
        left -= weight;
        if (left < 0) return value;
      }
      return pick(list)[0];
    },
    shuffle: (list) => {
      const copy = [...list];
      for (let i = copy.length - 1; i > 0; i--) {
        const j = int(0, i);
        [copy[i], copy[j]] = [copy[j] as (typeof copy)[number], copy[i] as (typeof copy)[number]];
      }
      return copy;
    },
    digits: (n, leadingZero = false) => {
      let text = '';
      while (text.length < n) text += String(int(0, 9_999_999)).padStart(7, '0');
      text = text.slice(0, n);
      return leadingZero || text[0] !== '0' ? text : `${int(1, 9)}${text.slice(1)}`;
    },
    state: () => a,
  };
}

/** A 32-bit seed from any parts (FNV-1a): the same parts always give the same seed. */
export function seedOf(...parts: readonly (string | number)[]): number {
  let hash = 0x811c9dc5;
  for (const char of parts.join('\u0001')) {
    hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  }
  return hash >>> 0;
}
