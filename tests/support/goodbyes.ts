import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** ReadyForQuery: a session waits for its next statement, outside of a transaction. */
const READY = Buffer.from('5a0000000549', 'hex');
/** What a server says to a session that an administrator ends (57P01). */
const GOODBYE = fatal('57P01', 'terminating connection due to administrator command');

function fatal(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`);
  const head = Buffer.from('E\0\0\0\0');
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

export interface Goodbyes {
  url: string;
  /** After how many answers sessions were ended so far. */
  ended: ReadonlySet<number>;
  /** From now on none is ended. */
  heal(): void;
  close(): Promise<void>;
}

/**
 * A way to a Postgres that ends a session together with one of its answers, in the same bytes: whoever asked has its answer
 * and has not yet asked anything else. In the first moment nobody awaits anything of that connection, which only chance
 * brings about when a test ends sessions from outside.
 * @param answers for the first session that comes, the second, … and round again: after how many answers, the log-in
 * being the first, it is ended
 */
export async function startGoodbyes(url: string, answers: readonly number[]): Promise<Goodbyes> {
  const { port } = new URL(url);
  const sockets = new Set<Socket>();
  let made = 0;
  const ended = new Set<number>();
  let well = false;
  const server = createServer((client) => {
    const last = answers[made++ % answers.length] as number;
    const postgres = connect(Number(port), '127.0.0.1');
    for (const socket of [client, postgres]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    }
    let seen = 0;
    client.on('data', (bytes) => postgres.write(bytes)).on('close', () => postgres.destroy());
    postgres.on('close', () => client.end());
    postgres.on('data', (bytes) => {
      const at = bytes.indexOf(READY);
      if (at < 0 || well || ++seen < last) return void client.write(bytes);
      ended.add(last);
      client.end(Buffer.concat([bytes.subarray(0, at + READY.length), GOODBYE]));
      postgres.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const way = new URL(url);
  way.hostname = '127.0.0.1';
  way.port = String((server.address() as AddressInfo).port);
  return {
    url: way.href,
    ended,
    heal: () => {
      well = true;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
