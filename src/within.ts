import { setTimeout as sleep } from 'node:timers/promises';

/** Nobody answered in time; by its code a fault of the infrastructure (infrastructure.ts). */
class TooLate extends Error {
  readonly code = 'ETIMEDOUT';
}

/** @throws TooLate when the time is up; what was asked goes on, and may then fail unheard */
export async function within<T>(ms: number, asked: Promise<T>): Promise<T> {
  const enough = new AbortController();
  asked.catch(() => {});
  const late = sleep(ms, undefined, { signal: enough.signal }).then(() => {
    throw new TooLate(`no answer within ${ms / 1000} s`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([asked, late]);
  } finally {
    enough.abort();
  }
}
