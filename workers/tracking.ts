import { runProcess } from '../src/fleet/index.ts';
import { trackingHandlers } from '../src/tracking/index.ts';

// Polls the couriers for the status of parcels, each at its own pace.
await runProcess('tracking', (fleet) => ({ handlers: trackingHandlers(fleet) }));
