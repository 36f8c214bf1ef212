import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { countAlike, countDifferent, together, togetherOf } from '../../src/lib/together.ts';

/** P5: work that is done together, and the groups in which it was. */
function worker(work: (n: number) => number = (n) => n * 10, count?: (waiting: readonly number[]) => number) {
  const groups: number[][] = [];
  const ask = together<number, number>(
    async (group) => {
      groups.push([...group]);
      await sleep(5);
      return group.map(work);
    },
    count ? { count } : {},
  );
  return { groups, ask };
}

describe('together (P5)', () => {
  test('what is asked for in one moment is one group, and what comes meanwhile the next', async () => {
    const { groups, ask } = worker();
    const first = [1, 2, 3].map(ask);
    await first[0];
    const second = [4, 5].map(ask);
    const later = sleep(1).then(() => Promise.all([6, 7].map(ask)));
    expect(await Promise.all([...first, ...second])).toEqual([10, 20, 30, 40, 50]);
    expect(await later).toEqual([60, 70]);
    expect(groups).toEqual([
      [1, 2, 3],
      [4, 5],
      [6, 7],
    ]);
  });

  test('in groups of as many of the first ones as may be, and of at least one', async () => {
    const { groups, ask } = worker(undefined, (waiting) => countAlike(waiting, (n) => n % 2 === 1));
    expect(await Promise.all([1, 3, 2, 4, 5].map(ask))).toEqual([10, 30, 20, 40, 50]);
    expect(groups).toEqual([[1, 3], [2, 4], [5]]);
    const different = worker(undefined, (waiting) => countDifferent(waiting, (n) => n % 10));
    expect(await Promise.all([1, 2, 11, 21, 3].map(different.ask))).toEqual([10, 20, 110, 210, 30]);
    expect(different.groups).toEqual([[1, 2], [11], [21, 3]]);
    const none = worker(undefined, () => 0);
    expect(await Promise.all([1, 2].map(none.ask))).toEqual([10, 20]);
    expect(none.groups).toEqual([[1], [2]]);
  });

  test('R3: one at fault fails alone', async () => {
    const { groups, ask } = worker((n) => {
      if (n === 2) throw new Error('two');
      return n * 10;
    });
    expect(await Promise.allSettled([1, 2, 3].map(ask))).toMatchObject([
      { value: 10 },
      { reason: { message: 'two' } },
      { value: 30 },
    ]);
    expect(groups).toEqual([[1, 2, 3], [1], [2], [3]]);
  });

  test('R2: while Postgres is away all fail at once, and none is tried alone', async () => {
    const { groups, ask } = worker(() => {
      throw Object.assign(new Error('away'), { code: 'ECONNREFUSED' });
    });
    const settled = await Promise.allSettled([1, 2].map(ask));
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(groups).toEqual([[1, 2]]);
  });

  test('what needs different things is in different groups', async () => {
    const groups: [object, number[]][] = [];
    const ask = togetherOf<object, number, number>(async (deps, group) => {
      groups.push([deps, [...group]]);
      return group.map((n) => n * 10);
    });
    const [one, other] = [{}, {}];
    const asked = [ask(one, 1), ask(other, 2), ask(one, 3)];
    expect(await Promise.all(asked)).toEqual([10, 20, 30]);
    expect(groups).toEqual([
      [one, [1, 3]],
      [other, [2]],
    ]);
  });
});
