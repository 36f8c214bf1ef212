import { loadConfig } from '../../src/config/index.ts';
import { openFleet } from '../../src/fleet/index.ts';
import { runWorkers } from '../../src/queue/run.ts';
import { awbHandlers } from '../../src/temu/awb/index.ts';

// workers/awb.ts with seconds for its minutes: what a killed worker leaves is taken up while a test can wait for it.
const fleet = openFleet(loadConfig(), 'awb');
runWorkers(awbHandlers(fleet, { leaseMs: 4_000, firstLookMs: 300, believeMissingMs: 3_500 }), fleet, {
  lockMs: 2_000,
  stalledLookMs: 500,
});
console.log('started');
