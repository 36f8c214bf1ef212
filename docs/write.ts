import { writeFileSync } from 'node:fs';
import { ENV_EXAMPLE, envExample } from './env-example.ts';
import { GROWTH_PAGE, growthPage } from './growth/page.ts';
import { PERFORMANCE_PAGE, performancePage } from './performance.ts';
import { SETTINGS_PAGE, settingsPage } from './settings.ts';
import { README, readmeWithTrackers } from './trackers.ts';

/** `npm run docs`: writes what is made of the schemas, the couriers' files and the bench's results; tests/checkout/docs.test.ts fails while it is stale. */
for (const [file, text] of [
  [SETTINGS_PAGE, `${settingsPage()}\n`],
  [ENV_EXAMPLE, envExample()],
  [README, readmeWithTrackers()],
  [PERFORMANCE_PAGE, performancePage()],
  [GROWTH_PAGE, growthPage()],
] as const)
  writeFileSync(file, text);
