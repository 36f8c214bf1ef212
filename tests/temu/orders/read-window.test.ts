import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ListPage } from '../../../src/temu/orders/responses.ts';
import { PAGE_SIZE, type ReadPage, readWindow } from '../../../src/temu/orders/sync-window.ts';

/** Temu's list of a closed window, kept as Temu keeps it: descending by update time, numbered as it is right now. */
function createList(size: number) {
  /** Update times, by order. The window is 1 … END. */
  const updated = new Map<number, number>();
  const END = 1_000_000;
  let clock = END + 1;
  for (let id = 0; id < size; id++) updated.set(id, 1 + (id % END));
  let reads = 0;

  const inWindow = () =>
    [...updated]
      .filter(([, at]) => at <= END)
      .sort(([a, atA], [b, atB]) => atB - atA || a - b)
      .map(([id]) => id);
  return {
    inWindow,
    reads: () => reads,
    updatedAt: (id: number) => updated.get(id) as number,
    END,
    /** The order at this place of the window changes now, and so leaves it. */
    leave(place: number) {
      const ids = inWindow();
      if (ids.length > 0) updated.set(ids[place % ids.length] as number, clock++);
    },
    /** An order enters late with an update time within the window: a clock differs, or Temu was slow to list it. */
    enter(at: number) {
      updated.set(size + updated.size, 1 + (at % END));
    },
    /** An order within the window changes within the window: it moves to the list's head. */
    move(place: number) {
      const ids = inWindow();
      if (ids.length > 0) updated.set(ids[place % ids.length] as number, END);
    },
    page(number: number): ListPage {
      reads++;
      const ids = inWindow();
      return {
        totalItemNum: ids.length,
        pageItems: ids.slice((number - 1) * PAGE_SIZE, number * PAGE_SIZE),
      };
    },
  };
}
type List = ReturnType<typeof createList>;
type Reader = (read: ReadPage, store: (items: readonly unknown[]) => Promise<void>) => Promise<unknown>;

const backwards: Reader = (read, store) => readWindow(read, store, String);

/** What T3 warns of: page 1, 2, 3 … until an empty one. */
const forwards: Reader = async (read, store) => {
  for (let number = 1; ; number++) {
    const { pageItems } = await read(number);
    if (pageItems.length === 0) return;
    await store(pageItems);
  }
};

/** `changes[n]` happen just before the nth page read; those left over never happen. */
async function run(list: List, reader: Reader, changes: readonly ((list: List) => void)[][]) {
  const stored = new Set<number>();
  let read = 0;
  const result = await reader(
    async (number) => {
      for (const change of changes[read++] ?? []) change(list);
      return list.page(number);
    },
    async (items) => {
      for (const id of items) stored.add(id as number);
    },
  );
  return { stored, result, missed: list.inWindow().filter((id) => !stored.has(id)) };
}

const size = fc.oneof(fc.integer({ min: 0, max: 450 }), fc.constantFrom(99, 100, 101, 200, 201, 300, 301));
const leaving = fc.nat(500).map((place) => (list: List) => list.leave(place));
const entering = fc.nat(2_000_000).map((at) => (list: List) => list.enter(at));
const moving = fc.nat(500).map((place) => (list: List) => list.move(place));
const interleaving = (change: fc.Arbitrary<(list: List) => void>, maxPerRead: number) =>
  fc.array(fc.array(change, { maxLength: maxPerRead }), { maxLength: 12 });
const bound = (list: List) => 3 * (Math.ceil((list.inWindow().length + 500) / PAGE_SIZE) + 1);

describe('T3: reading a window that shifts', () => {
  it.each([
    [0, [1]],
    [1, [1]],
    [100, [1]],
    [101, [1, 2, 1]],
    [350, [1, 4, 3, 2, 1]],
  ])('T3: %i orders that stand still take the pages %j', async (count, pages) => {
    const list = createList(count);
    const asked: number[] = [];
    const { missed, result } = await run(
      list,
      (read, store) =>
        backwards((number) => {
          asked.push(number);
          return read(number);
        }, store),
      [],
    );
    expect(asked).toEqual(pages);
    expect(missed).toEqual([]);
    expect(result).toEqual({ expected: count, seen: count });
  });

  it('T3: whatever leaves, whenever and however many: all that is in the window at the end is stored (property)', async () => {
    await fc.assert(
      fc.asyncProperty(size, interleaving(leaving, 150), async (count, changes) => {
        const list = createList(count);
        const { stored, missed } = await run(list, backwards, changes);
        expect(missed).toEqual([]);
        // who left without being stored has changed after the window: the next window has it
        for (let id = 0; id < count; id++)
          if (!stored.has(id)) expect(list.updatedAt(id)).toBeGreaterThan(list.END);
        expect(list.reads()).toBeLessThanOrEqual(bound(list));
      }),
      { numRuns: 200 },
    );
  });

  it('T3: orders that only leave cost no second round', async () => {
    const list = createList(450);
    await run(list, backwards, [[], [(it) => it.leave(3)], [(it) => it.leave(300)], [(it) => it.leave(0)]]);
    expect(list.reads()).toBe(6);
  });

  it('T3: reading forwards does miss orders under the same model, so this test can fail', async () => {
    const list = createList(250);
    const { missed } = await run(list, forwards, [[], [(it) => it.leave(5)]]);
    expect(missed).toHaveLength(1);
    await expect(
      fc.assert(
        fc.asyncProperty(size, interleaving(leaving, 150), async (count, changes) => {
          expect((await run(createList(count), forwards, changes)).missed).toEqual([]);
        }),
        { numRuns: 200 },
      ),
    ).rejects.toThrow(/Property failed/);
  });

  it('T3: orders that enter late, and those that they push behind a page already read, are found (property)', async () => {
    await fc.assert(
      fc.asyncProperty(
        size,
        fc.nat(11),
        fc.array(entering, { maxLength: 150 }),
        async (count, when, late) => {
          const list = createList(count);
          // in the first round: from the last of three rounds on there is no proof left
          const first = Math.ceil(count / PAGE_SIZE);
          const changes = Array.from({ length: 13 }, (_, read) => (read === when % (first + 1) ? late : []));
          const { missed, result } = await run(list, backwards, changes);
          expect(missed).toEqual([]);
          expect(result).toEqual({ expected: list.inWindow().length, seen: list.inWindow().length });
          expect(list.reads()).toBeLessThanOrEqual(bound(list));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('T3: orders that change within the window move to its head and push others back: found as well (property)', async () => {
    await fc.assert(
      fc.asyncProperty(size, fc.nat(11), fc.array(moving, { maxLength: 20 }), async (count, when, moves) => {
        const list = createList(count);
        const first = Math.ceil(count / PAGE_SIZE);
        const changes = Array.from({ length: 13 }, (_, read) => (read === when % (first + 1) ? moves : []));
        expect((await run(list, backwards, changes)).missed).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  it('T3: without the closing proof a late one would push an order out of sight, so that test can fail', async () => {
    const oneRound: Reader = async (read, store) => {
      const pages = Math.ceil((await read(1)).totalItemNum / PAGE_SIZE);
      for (let number = pages; number >= 1; number--) await store((await read(number)).pageItems);
    };
    const late = [[], [], [(list: List) => list.enter(999_998)]];
    expect((await run(createList(250), oneRound, late)).missed).toHaveLength(1);
    expect((await run(createList(250), backwards, late)).missed).toEqual([]);
  });

  it('T3: one that enters late while another leaves hides nobody: Temu’s total alone would not tell (property)', async () => {
    const late = (list: List) => list.enter(list.END - 1);
    // 250 orders: the last page is read, one enters at the head and pushes one behind it, one that was read leaves
    const list = createList(250);
    const { missed, result } = await run(list, backwards, [[], [], [late, (it) => it.leave(249)]]);
    expect(missed).toEqual([]);
    expect(result).toEqual({ expected: 250, seen: 251 });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 101, max: 450 }),
        fc.nat(11),
        fc.array(
          fc.nat(300).map((back) => (it: List) => it.leave(it.inWindow().length - 1 - back)),
          { maxLength: 20 },
        ),
        async (count, when, leaves) => {
          const many = createList(count);
          const first = Math.ceil(count / PAGE_SIZE);
          const changes = Array.from({ length: 13 }, (_, read) =>
            read === when % (first + 1) ? [late, ...leaves] : [],
          );
          const survivors = new Set(many.inWindow().slice(0, PAGE_SIZE));
          const { missed } = await run(many, backwards, changes);
          // the proof stands on those of page 1 that are still there
          if (many.inWindow().some((id) => survivors.has(id))) expect(missed).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('T3: under any change at all it ends, with at most three rounds, and says what it saw (property)', async () => {
    await fc.assert(
      fc.asyncProperty(
        size,
        interleaving(fc.oneof(leaving, entering, moving), 40),
        async (count, changes) => {
          const list = createList(count);
          const { stored, result } = await run(list, backwards, changes);
          expect((result as { seen: number }).seen).toBe(stored.size);
          expect(list.reads()).toBeLessThanOrEqual(3 * (Math.ceil((count + 13 * 40) / PAGE_SIZE) + 1));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('T3: a total that never comes true is reported after three rounds, and what came is stored', async () => {
    let reads = 0;
    const stored: unknown[] = [];
    const result = await readWindow(
      async (number) => {
        reads++;
        return { totalItemNum: 150, pageItems: number === 1 ? ['a', 'b'] : [] };
      },
      async (items) => void stored.push(...items),
      String,
    );
    expect(result).toEqual({ expected: 150, seen: 2 });
    expect(reads).toBe(9);
    expect(new Set(stored)).toEqual(new Set(['a', 'b']));
  });

  it('T3: a page is stored before the next one is read', async () => {
    const events: string[] = [];
    const list = createList(250);
    await readWindow(
      async (number) => {
        events.push(`read ${number}`);
        return list.page(number);
      },
      async (items) => void events.push(`store ${items.length}`),
      String,
    );
    expect(events).toEqual(['read 1', 'read 3', 'store 50', 'read 2', 'store 100', 'read 1', 'store 100']);
  });

  it('T3: when a page cannot be read or stored the whole reading fails, for the window to be repeated', async () => {
    const list = createList(250);
    const failing: ReadPage = async (number) => {
      if (number === 2) throw new Error('page 2');
      return list.page(number);
    };
    await expect(readWindow(failing, async () => {}, String)).rejects.toThrow('page 2');
    const refusing = async () => {
      throw new Error('no room');
    };
    await expect(readWindow(async (number) => list.page(number), refusing, String)).rejects.toThrow(
      'no room',
    );
  });
});
