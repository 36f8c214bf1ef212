import { runProcess } from '../src/fleet.ts';
import { trackingHandlers } from '../src/tracking/index.ts';

// Asks the couriers where the parcels are, each at its own pace.
await runProcess('tracking', (fleet) => ({ handlers: trackingHandlers(fleet) }));
