import { Socket } from 'node:net';

/**
 * Detects half-open connections: a lost host, a failover behind one address, a dropped NAT entry (R2). Neither TCP nor
 * the Postgres drivers do: TCP retransmits for 15 minutes, and the drivers have no timeout.
 *
 * It imports only Node, since the client ships it, too (client/index.ts).
 */

/** Silence is counted in checks, not by the clock: a suspended process has not listened either. */
const LOOKS = 20;

/**
 * A socket that closes when nothing is received for `silenceMs`, also while connecting; counted from the last bytes
 * received or, if later, from the first write after them. Further writes do not extend it: drivers keep sending statements
 * on a dead connection.
 *
 * It cannot tell a complete response from an outstanding one (TLS hides that), so an idle connection is closed as well.
 * Users must close idle connections earlier, and send a query now and then on those that only listen.
 */
export class WatchedSocket extends Socket {
  #timer: NodeJS.Timeout;
  #looks = 0;
  #read = 0;
  #written = 0;
  #asked = false;

  /** @param silenceMs longer than the longest legitimate statement */
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

  // not by a listener of 'close': postgres.js removes them all before it starts TLS
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearInterval(this.#timer);
    super._destroy(error, callback);
  }
}
