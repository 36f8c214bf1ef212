/**
 * A shipping app that goes on enqueueing by `orderfleet/client`, opening a client anew for each few. Prints what came of it at
 * the end of the time that is given in milliseconds.
 */
import { type ClientOptions, createClient, type OrderfleetClient } from '../../src/client/index.ts';

const [where = '{}', forMs = '1000'] = process.argv.slice(2);
/** At once, by one client; then by the next one. */
const CALLS = 10;
const until = performance.now() + Number(forMs);
const seen = { added: 0, rejected: 0, slowestMs: 0, uncaught: [] as string[] };
process.on('uncaughtException', (error) => void seen.uncaught.push(String(error.stack)));
process.on('unhandledRejection', (error) => void seen.uncaught.push(String(error)));

async function enqueue(client: OrderfleetClient, number: number): Promise<void> {
  const startedAt = performance.now();
  await client.awbCreated({ source: 'temu', marketplaceOrderId: 'PO-1', awbNumber: `AWB${number}` }).then(
    () => seen.added++,
    () => seen.rejected++,
  );
  seen.slowestMs = Math.max(seen.slowestMs, Math.round(performance.now() - startedAt));
}

console.log('started');
for (let number = 0; performance.now() < until; number += CALLS) {
  const client = createClient(JSON.parse(where) as ClientOptions);
  await Promise.all(Array.from({ length: CALLS }, (_, at) => enqueue(client, number + at)));
  await client.close().catch(() => {});
}
console.log(JSON.stringify(seen));
