import { loadConfig } from '../../src/config/index.ts';
import { openFleet } from '../../src/fleet/index.ts';
import { runWorkers } from '../../src/queue/run.ts';
import { trackingHandlers, trackingSettings } from '../../src/tracking/index.ts';

// workers/tracking.ts with seconds for its minutes: what a killed worker leaves is taken up while a test can wait for it.
const fleet = openFleet(loadConfig(trackingSettings), 'tracking');
const running = runWorkers(trackingHandlers(fleet, { leaseMs: 3_000 }), fleet, {
  lockMs: 2_000,
  stalledLookMs: 500,
});
process.once('SIGTERM', async () => {
  await running.stop(200);
  await fleet.close();
});
console.log('started');
