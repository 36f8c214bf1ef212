import { alertHandlers } from '../../src/alerts/index.ts';
import { loadConfig } from '../../src/config/index.ts';
import { openFleet } from '../../src/fleet/index.ts';
import { runWorkers } from '../../src/queue/run.ts';

// workers/alerts.ts with seconds for its minutes: what a killed worker leaves is taken up while a test can wait for it.
const fleet = openFleet(loadConfig(), 'alerts');
runWorkers(alertHandlers(fleet, { leaseMs: 3_000, callMs: 2_000, budgetMs: 5_000 }), fleet, {
  lockMs: 2_000,
  stalledLookMs: 500,
});
console.log('started');
