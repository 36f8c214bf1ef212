import { alertHandlers } from '../src/alerts/index.ts';
import { runProcess } from '../src/fleet/index.ts';

// Delivers notices: Slack messages, signed webhooks, mails.
await runProcess('alerts', (fleet) => ({ handlers: alertHandlers(fleet) }));
