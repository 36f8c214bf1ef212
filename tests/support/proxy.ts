import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * A TCP proxy on 127.0.0.1 whose connections can be made to misbehave as networks do, without the ends being told.
 */
export interface TcpProxy {
  port: number;
  /** `url` with the proxy in place of its host. */
  through(url: string): string;
  /** Connections that are open on the client's side and not silenced. */
  open(): number;
  /** Connections that were ever made. */
  made(): number;
  /**
   * Whatever the present connections carry is swallowed from now on, both ways, and neither end hears of the other's end.
   * @param later those that come are swallowed, too, until `heal`
   */
  silence(options?: { later?: boolean }): void;
  /** New connections pass again. */
  heal(): void;
  /** Resets the present connections. */
  cut(): void;
  /** New connections lead there; the present ones stay where they are. */
  pointTo(port: number): void;
  close(): Promise<void>;
}

/** A port where nobody listens: who comes by a proxy that points there is cut off at once. */
export const NOBODY = 9;

interface Pair {
  client: Socket;
  server: Socket;
  silent: boolean;
}

export async function startProxy(target: string | number): Promise<TcpProxy> {
  let port = typeof target === 'number' ? target : Number(new URL(target).port);
  let swallowing = false;
  let made = 0;
  const pairs = new Set<Pair>();
  const proxy = createServer({ allowHalfOpen: true }, (client) => {
    made++;
    const server = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const pair: Pair = { client, server, silent: swallowing };
    pairs.add(pair);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('data', (chunk) => void (pair.silent || to.write(chunk)));
      from.on('end', () => void (pair.silent || to.end()));
      from.on('error', () => {});
      from.on('close', () => {
        if (pair.silent && from === server) return; // the client is not told
        to.destroy();
        pairs.delete(pair);
      });
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const own = (proxy.address() as AddressInfo).port;
  return {
    port: own,
    through(url) {
      const parsed = new URL(url);
      parsed.hostname = '127.0.0.1';
      parsed.port = String(own);
      return parsed.href;
    },
    open: () => [...pairs].filter(({ silent }) => !silent).length,
    made: () => made,
    silence({ later = false } = {}) {
      swallowing = later;
      for (const pair of pairs) pair.silent = true;
    },
    heal: () => {
      swallowing = false;
    },
    cut() {
      for (const { client, server } of pairs) {
        client.resetAndDestroy();
        server.destroy();
      }
    },
    pointTo: (other) => {
      port = other;
    },
    async close() {
      for (const { client, server } of pairs) {
        client.destroy();
        server.destroy();
      }
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
