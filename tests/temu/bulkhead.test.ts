import { describe, expect, test } from 'vitest';
import { createBulkhead, createStoreBulkheads } from '../../src/temu/bulkhead.ts';

const entered = async (tries: Promise<unknown>[]) =>
  (await Promise.all(tries)).map((leave) => leave !== undefined);

describe('T17: bulkheads', () => {
  test('so many places, and no more after a wait', async () => {
    const enter = createBulkhead(2, 50);
    const startedAt = performance.now();
    expect(await entered([enter(), enter(), enter()])).toEqual([true, true, false]);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(45);
  });

  test('a place that comes free goes to who has waited for longest', async () => {
    const enter = createBulkhead(1, 1_000);
    const leave = await enter();
    const order: string[] = [];
    const waiting = ['first', 'second'].map(async (name) => {
      const next = await enter();
      order.push(name);
      next?.();
    });
    leave?.();
    await Promise.all(waiting);
    expect(order).toEqual(['first', 'second']);
  });

  test('who has given up waiting takes no place, and leaving twice makes none', async () => {
    const enter = createBulkhead(1, 30);
    const leave = await enter();
    expect(await entered(Array.from({ length: 20 }, enter))).toEqual(Array(20).fill(false));
    leave?.();
    leave?.();
    expect(await entered([enter(), enter()])).toEqual([true, false]);
  });

  test('a store that has all of its places takes none of another’s, and is forgotten when it has left', async () => {
    const bulkheads = createStoreBulkheads(2, 30);
    const full = await Promise.all([bulkheads.acquire('a'), bulkheads.acquire('a')]);
    expect(await entered([bulkheads.acquire('a'), bulkheads.acquire('b')])).toEqual([false, true]);
    expect(bulkheads.size).toBe(2);
    for (const leave of full) leave?.();
    expect(bulkheads.size).toBe(1);
    const again = ['a', 'a', 'a'].map((store) => bulkheads.acquire(store));
    expect(await entered(again)).toEqual([true, true, false]);
    for (const one of again) (await one)?.();
    expect(bulkheads.size).toBe(1);
  });
});
