/** Starts the embedded Postgres of the directory given and keeps it until SIGTERM: to be killed by tests. */
import { startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';

const server = await startEmbeddedPostgres({ dir: String(process.argv[2]), settings: { fsync: 'off' } });
const staying = setInterval(() => undefined, 1_000);
process.once('SIGTERM', async () => {
  await server.stop();
  clearInterval(staying);
});
console.log(`port ${server.port}`);
