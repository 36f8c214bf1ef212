import { setImmediate as nextTurn } from 'node:timers/promises';
import { isInfrastructureFault } from './infrastructure.ts';

interface Waiting<T, R> {
  one: T;
  resolve(result: R): void;
  reject(error: unknown): void;
}

export interface TogetherOptions<T> {
  /** How many of those that wait are done together, the longest waiting first: at least one. By default all. */
  count?(waiting: readonly T[]): number;
}

/**
 * What is asked for while the last group is being worked on becomes the next group: under load one statement does the work
 * of many, and one alone does not wait. When a group fails by the fault of one, each is done alone (R3).
 * @param work its results in the order of the group
 */
export function together<T, R>(
  work: (group: readonly T[]) => Promise<readonly R[]>,
  { count = (waiting) => waiting.length }: TogetherOptions<T> = {},
): (one: T) => Promise<R> {
  const waiting: Waiting<T, R>[] = [];
  let working = false;

  async function workOn(group: readonly Waiting<T, R>[]): Promise<void> {
    try {
      const results = await work(group.map(({ one }) => one));
      for (const [index, { resolve }] of group.entries()) resolve(results[index] as R);
    } catch (error) {
      if (group.length === 1 || isInfrastructureFault(error)) for (const { reject } of group) reject(error);
      else for (const one of group) await workOn([one]);
    }
  }
  async function workOnAll(): Promise<void> {
    if (working) return;
    working = true;
    try {
      while (waiting.length > 0) {
        await nextTurn(); // for those that are asked for in the same moment
        await workOn(waiting.splice(0, Math.max(1, count(waiting.map(({ one }) => one)))));
      }
    } finally {
      working = false;
    }
  }
  return (one) =>
    new Promise((resolve, reject) => {
      waiting.push({ one, resolve, reject });
      void workOnAll();
    });
}

/** The same for work that needs something: what is asked for with the same of it is done together. */
export function togetherOf<D extends object, T, R>(
  work: (deps: D, group: readonly T[]) => Promise<readonly R[]>,
  options: TogetherOptions<T> = {},
): (deps: D, one: T) => Promise<R> {
  const asked = new WeakMap<D, (one: T) => Promise<R>>();
  return (deps, one) => {
    const ask = asked.get(deps) ?? together((group: readonly T[]) => work(deps, group), options);
    asked.set(deps, ask);
    return ask(one);
  };
}

/** How many from the first on have the same of something as the first. */
export function countAlike<T>(waiting: readonly T[], of: (one: T) => unknown): number {
  const [first] = waiting.map(of);
  const other = waiting.findIndex((one) => of(one) !== first);
  return other < 0 ? waiting.length : other;
}

/** How many from the first on have something that none before them has. */
export function countDifferent<T>(waiting: readonly T[], of: (one: T) => unknown): number {
  const known = new Set<unknown>();
  const same = waiting.findIndex((one) => known.size === known.add(of(one)).size);
  return same < 0 ? waiting.length : same;
}
