import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';

/** The first looks come quickly, later ones more seldom: a hundred waiting tests must not keep the machine busy. */
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 200;
/** A pause is at most this part of what has been waited. */
const PART = 0.05;

/**
 * Waits until `look` returns something truthy, and returns that. A look that throws counts as "not yet".
 *
 * @throws Error with what was last seen, after `timeoutMs` (default 30 seconds).
 */
export async function until<T>(
  look: () => T | Promise<T>,
  { timeoutMs = 30_000, what = 'the condition' }: { timeoutMs?: number; what?: string } = {},
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const startedAt = performance.now();
  const giveUpAt = startedAt + timeoutMs;
  for (;;) {
    let last: string;
    let cause: unknown;
    try {
      const seen = await look();
      if (seen) return seen as Exclude<T, false | null | undefined | 0 | ''>;
      last = `last seen: ${inspect(seen, { depth: 4 })}`;
    } catch (error) {
      cause = error;
      last = `last error: ${error instanceof Error ? error.message : inspect(error)}`;
    }
    if (performance.now() > giveUpAt) {
      throw new Error(`Waited ${timeoutMs} ms for ${what}; ${last}`, { cause });
    }
    const waited = performance.now() - startedAt;
    await sleep(Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, waited * PART)));
  }
}

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port);
        else reject(new Error('The system gave no port'));
      });
    });
  });
}
