import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fail, ok } from '../../src/lib/errors.ts';
import { walkFeed, windowsFrom } from '../../src/tracking/engine/feed.ts';
import type { Feed, FeedPage, Window } from '../../src/tracking/toolkit/courier.ts';

const MINUTE = 60_000;
const feed = {
  windowMs: 120 * MINUTE,
  overlapMs: 60 * MINUTE,
  silentMs: 1_440 * MINUTE,
  request: () => ({ url: '', method: 'GET' }),
  read: () => ok({ scans: [], more: false }),
} satisfies Feed;

test('E7: windows begin before the mark, end now, and leave nothing out', () => {
  const windows = windowsFrom(600 * MINUTE, 800 * MINUTE, feed);
  const minutes = windows.map(({ from, to }) => [from.getTime() / MINUTE, to.getTime() / MINUTE]);
  expect(minutes).toEqual([
    [540, 660],
    [660, 780],
    [780, 800],
  ]);
  expect(windowsFrom(0, 10_000_000 * MINUTE, feed)).toHaveLength(48);
});

/** An event at a time that the list shows from a later time on. */
interface Event {
  id: number;
  at: number;
  shownAt: number;
}

/**
 * A courier's list, newest first, in pages of so many, at whatever moment each is read. It is not the code under test, and
 * reads nothing of it.
 */
const pageOf = (
  events: readonly Event[],
  { from, to }: Window,
  page: number,
  size: number,
  now: number,
): FeedPage => {
  const listed = events
    .filter(({ at, shownAt }) => at >= from.getTime() && at < to.getTime() && shownAt <= now)
    .sort((a, b) => b.at - a.at || b.id - a.id);
  const scans = listed.slice((page - 1) * size, page * size).map(({ id, at }) => {
    const scan = {
      is: 'scan',
      rawStatus: 'X',
      courierStatus: 'x',
      means: 'in_transit',
      at: new Date(at),
    } as const;
    return [String(id), scan] as const;
  });
  return { scans: [...scans], more: listed.length > page * size };
};

test('E7: no change is missed, whatever pages, late events, pauses and failures do (property)', async () => {
  const event = fc.record({
    at: fc.integer({ min: 0, max: 2_000 }),
    lateBy: fc.integer({ min: 0, max: 55 }),
  });
  const run = fc.record({
    /** Minutes until the next run; each page takes some seconds. */
    after: fc.integer({ min: 1, max: 400 }),
    pageMs: fc.integer({ min: 0, max: 20_000 }),
    /** The page at which it breaks off; 0: none. */
    breaksAt: fc.integer({ min: 0, max: 6 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(event, { maxLength: 60 }),
      fc.array(run, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 9 }),
      async (list, runs, size) => {
        const events = list.map(({ at, lateBy }, id) => ({
          id,
          at: at * MINUTE,
          shownAt: (at + lateBy) * MINUTE,
        }));
        const seen = new Set<string>();
        let readTo = 0;
        let now = 0;
        const last = { after: 3_000, pageMs: 0, breaksAt: 0 };
        for (const { after, pageMs, breaksAt } of [...runs, last]) {
          now += after * MINUTE;
          let pages = 0;
          await walkFeed(
            windowsFrom(readTo, now, feed),
            async (window, page) => {
              const at = now + pages * pageMs;
              pages++;
              if (pages === breaksAt) return fail('transient', 'cut off');
              return ok(pageOf(events, window, page, size, at));
            },
            async (scans) => {
              for (const [id] of scans) seen.add(id);
            },
            async (to) => {
              readTo = Math.max(readTo, to.getTime());
            },
          );
        }
        expect([...seen].sort()).toEqual(events.map(({ id }) => String(id)).sort());
      },
    ),
    { numRuns: 300 },
  );
});

test('E7: a feed without an end is a failure, not a loop', async () => {
  let pages = 0;
  const result = await walkFeed(
    [{ from: new Date(0), to: new Date(1) }],
    async () => {
      pages++;
      return ok({ scans: [], more: true });
    },
    async () => {},
    async () => expect.fail('a window that was not read whole is not marked'),
  );
  expect(result).toMatchObject({ ok: false, failure: { kind: 'malformed' } });
  expect(pages).toBe(1_000);
});
