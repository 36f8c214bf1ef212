import { Socket } from 'node:net';

/**
 * Connections that notice when the other side has gone without a word: a lost host, a failover behind one address, a NAT
 * entry that was dropped (R2). Neither TCP nor the drivers of Postgres do: what was written is sent again for a quarter of
 * an hour, and nobody looks at the clock.
 *
 * It imports Node alone: the shipping app has it too (client.ts).
 */

/** A silence is counted in so many looks, not by the clock: a process that stood still has not listened either. */
const LOOKS = 20;

/**
 * A socket that gives up when nothing comes in for `silenceMs`, counted from the last bytes that came or, where that was
 * later, from the first that were written after them; while it connects as well. What else is written does not prolong it:
 * drivers send statement after statement into a hole.
 *
 * It cannot know whether an answer is whole (under TLS it sees sealed bytes), so a quiet connection is given up like one
 * that owes an answer. Whoever uses it closes what is idle before that, and lets what only listens ask something now
 * and again.
 */
export class WatchedSocket extends Socket {
  #timer: NodeJS.Timeout;
  #looks = 0;
  #read = 0;
  #written = 0;
  #asked = false;

  /** @param silenceMs longer than the longest statement that is right */
  constructor(silenceMs: number) {
    super();
    this.#timer = setInterval(() => this.#look(), silenceMs / LOOKS).unref();
  }

  #look(): void {
    const { bytesRead, bytesWritten = 0 } = this;
    if (bytesRead !== this.#read) {
      this.#read = bytesRead;
      this.#written = bytesWritten;
      this.#asked = false;
      this.#looks = 0;
    } else if (!this.#asked && bytesWritten !== this.#written) {
      this.#asked = true;
      this.#looks = 0;
    } else if (++this.#looks >= LOOKS) this.destroy();
  }

  // not by a listener of 'close': postgres.js removes all of them before it begins TLS
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearInterval(this.#timer);
    super._destroy(error, callback);
  }
}
