import { setTimeout as sleep } from 'node:timers/promises';
import type postgres from 'postgres';

export interface Listener {
  /**
   * Calls `heard` with the payload of each notification of this channel, until closed. One function per channel.
   * @throws the driver's error when it cannot listen now; it is retried all the same
   */
  listen(channel: string, heard: (payload: string) => void): Promise<void>;
  end(): Promise<void>;
}

/**
 * LISTEN on a connection of its own that recovers (R2). The driver's own `listen` (postgres.js 3.4.9) waits for ever
 * on a silent connection, and gives up for good when it cannot listen again at once after a cut. Here LISTEN itself
 * is repeated: it does nothing where it is active, opens a connection where there is none, detects a silent one as it
 * gets no response, and a demoted server refuses it. Notifications in between are lost, as with any LISTEN.
 * @param open a client with one connection that calls back for each notification
 */
export function createListener(
  open: (onnotify: (channel: string, payload: string) => void) => postgres.Sql,
  heartbeatMs: number,
): Listener {
  const heard = new Map<string, (payload: string) => void>();
  const ended = new AbortController();
  let sql: postgres.Sql | undefined;

  async function say(channel: string): Promise<void> {
    sql ??= open((from, payload) => heard.get(from)?.(payload));
    await sql`listen ${sql(channel)}`;
  }

  async function keepOn(): Promise<void> {
    const { signal } = ended;
    while (!signal.aborted) {
      await sleep(heartbeatMs, undefined, { signal, ref: false }).catch(() => {});
      // an outage is reported by the statements of others
      for (const channel of signal.aborted ? [] : heard.keys()) await say(channel).catch(() => {});
    }
  }

  return {
    async listen(channel, callback) {
      if (heard.size === 0) void keepOn();
      heard.set(channel, callback);
      await say(channel);
    },
    async end() {
      ended.abort();
      await sql?.end({ timeout: 0 });
    },
  };
}
