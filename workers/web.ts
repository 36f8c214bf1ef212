import { runProcess } from '../src/fleet.ts';
import { serveWeb } from '../src/web/server.ts';

// What comes in over HTTP: AWB events from programs that are no Node programs.
await runProcess('web', (fleet) => ({ handlers: [], server: serveWeb(fleet) }));
