/** Setup of every test file: fails the file if it leaves sockets, servers, timers or children open. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll } from 'vitest';
import { reapProcesses } from './process.ts';

/**
 * Closing takes a few turns of the loop, a TCP goodbye a little longer; and BullMQ's look for stalled jobs waits five seconds
 * after a fault, also when its worker has been closed meanwhile.
 */
const GRACE_MS = 8_000;
const POLL_MS = 20;

const before = process.getActiveResourcesInfo();

// hooks run as a stack: this one, being the first that was registered, is the last of the file
afterAll(async () => {
  await reapProcesses();
  const giveUpAt = performance.now() + GRACE_MS;
  let left = leaked(before, process.getActiveResourcesInfo());
  while (left.length > 0 && performance.now() < giveUpAt) {
    await sleep(POLL_MS);
    left = leaked(before, process.getActiveResourcesInfo());
  }
  if (left.length > 0) throw new Error(`This file leaves things open: ${left.join(', ')}`);
});

/** The kinds of which there are more after than before: `TCPSocketWrap ×2`. */
export function leaked(earlier: string[], later: string[]): string[] {
  return [...new Set(later)].flatMap((kind) => {
    const more = count(later, kind) - count(earlier, kind);
    return more > 0 ? [`${kind} ×${more}`] : [];
  });
}

function count(kinds: string[], wanted: string): number {
  return kinds.filter((kind) => kind === wanted).length;
}
