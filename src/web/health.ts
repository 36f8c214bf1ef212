import { Hono } from 'hono';
import type { Fleet } from '../fleet.ts';
import { answerHealth } from '../health.ts';
import { fleetMetrics } from './metrics.ts';
import { createWrongSecrets } from './wrong-secrets.ts';

/** O4: GET /healthz, /readyz and /metrics as on every process, here with the fleet-wide numbers as well; no login. */
export function healthRoutes(fleet: Fleet): Hono {
  const { probes, config } = fleet;
  const source = { probes, metrics: fleetMetrics(fleet), token: config.METRICS_TOKEN };
  const wrongSecret = createWrongSecrets(fleet);
  const app = new Hono();
  app.on('GET', ['/healthz', '/readyz', '/metrics'], async (c) => {
    const answer = await answerHealth(source, c.req.path, c.req.header('authorization'));
    if (!answer) return c.notFound();
    const { body, status, headers } = answer;
    return c.body(body, status === 401 ? wrongSecret(c, 'metrics') : status, headers);
  });
  return app;
}
