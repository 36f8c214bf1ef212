import { setTimeout as sleep } from 'node:timers/promises';

/** Its code makes it an infrastructure error (infrastructure.ts). */
class TimeoutError extends Error {
  readonly code = 'ETIMEDOUT';
}

/** @throws TimeoutError after `ms`; `work` goes on, and a later rejection is ignored */
export async function withTimeout<T>(ms: number, work: Promise<T>): Promise<T> {
  const enough = new AbortController();
  work.catch(() => {});
  const late = sleep(ms, undefined, { signal: enough.signal }).then(() => {
    throw new TimeoutError(`no answer within ${ms / 1000} s`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    enough.abort();
  }
}
