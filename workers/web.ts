import { runProcess } from '../src/fleet/index.ts';
import { serveWeb } from '../src/web/server.ts';

// Serves HTTP: the dashboard, webhooks, and AWB events from programs that do not run on Node.
await runProcess('web', (fleet) => ({ handlers: [], server: serveWeb(fleet) }));
