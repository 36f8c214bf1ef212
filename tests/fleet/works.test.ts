import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { alertHandlers } from '../../src/alerts/index.ts';
import { parseConfig } from '../../src/config/index.ts';
import { type Fleet, openFleet } from '../../src/fleet/index.ts';
import { queuesOf } from '../../src/fleet/works.ts';
import { WORKERS, type WorkerName } from '../../src/queue/define.ts';
import type { Handler } from '../../src/queue/handle.ts';
import { maintenanceHandler } from '../../src/queue/maintenance.ts';
import { awbHandlers } from '../../src/temu/awb/index.ts';
import { orderHandlers } from '../../src/temu/orders/index.ts';
import { trackingHandlers } from '../../src/tracking/index.ts';
import { ROOT } from '../support/process.ts';

/** As workers/ lists them, which the second test checks. */
const HANDLERS: Record<WorkerName, [name: string, handlers: (fleet: Fleet) => Handler[]]> = {
  temu: ['orderHandlers', orderHandlers],
  awb: ['awbHandlers', awbHandlers],
  tracking: ['trackingHandlers', trackingHandlers],
  alerts: ['alertHandlers', alertHandlers],
  scheduler: ['maintenanceHandler', () => [maintenanceHandler([])]],
};

/** Connects to nothing: no connection is opened before its first use. */
function openUnused(): Fleet {
  const fleet = openFleet(
    parseConfig({
      DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none',
      CREDENTIALS_KEY: randomBytes(32).toString('base64'),
      LOG_LEVEL: 'silent',
    }),
    'test',
  );
  onTestFinished(() => fleet.close());
  return fleet;
}

describe.each(WORKERS)('worker %s', (worker) => {
  const [name, handlers] = HANDLERS[worker];

  test('R1: has a handler for each of its queues that queuesOf lists, and for no other', () => {
    const fleet = openUnused();
    const listed = queuesOf(fleet).filter((queue) => queue.worker === worker);
    const handled = handlers(fleet).map(({ definition }) => definition);
    expect(handled.map((queue) => queue.name).sort()).toEqual(listed.map((queue) => queue.name).sort());
    expect(handled.map((queue) => queue.worker)).toEqual(handled.map(() => worker));
  });

  test(`runs ${name}`, () => {
    const source = readFileSync(path.join(ROOT, 'workers', `${worker}.ts`), 'utf8');
    expect(source).toMatch(new RegExp(`handlers: \\[?${name}\\(`));
  });
});
