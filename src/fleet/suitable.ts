import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/index.ts';
import { NO_SESSIONS, poolingOf } from '../db/pooler.ts';
import { misnamed, readRedis } from '../queue/redis.ts';

/** Why a store can never be used, e.g. its version (R12). @throws when it is down */
const looks: readonly ((config: Config) => Promise<{ says: string; remedy: string } | undefined>)[] = [
  async ({ DATABASE_URL }) => ((await poolingOf(DATABASE_URL)) === 'transaction' ? NO_SESSIONS : undefined),
  async ({ REDIS_URL }) => (REDIS_URL ? misnamed(await readRedis(REDIS_URL)) : undefined),
];

/** Stores answer in milliseconds; one that is down delays the start by at most this. */
const START_MS = 3_000;
const AGAIN_MS = 30_000;

/**
 * Checks each store until it has answered once.
 * @param refuse called with one line that names the variable when a store can never be used
 * @returns when all have answered or are down, or after `startMs`; checking goes on in the background
 */
export async function lookAtStores(
  config: Config,
  refuse: (line: string) => void,
  { startMs = START_MS, againMs = AGAIN_MS } = {},
): Promise<void> {
  const lookOnce = async (look: (typeof looks)[number]): Promise<void> => {
    try {
      const wrong = await look(config);
      if (wrong) refuse(`${wrong.says}: ${wrong.remedy}`);
    } catch {
      // it is down: workers wait for it and log that
      setTimeout(() => void lookOnce(look), againMs).unref();
    }
  };
  const settled = new AbortController();
  const late = sleep(startMs, undefined, { signal: settled.signal }).catch(() => {});
  await Promise.race([Promise.all(looks.map(lookOnce)), late]);
  settled.abort();
}
