import { Hono } from 'hono';
import { answerHealth } from '../../fleet/health.ts';
import type { Fleet } from '../../fleet/index.ts';
import { createAuthThrottle } from '../middleware/auth-throttle.ts';
import { fleetMetrics } from './metrics.ts';

/** O4: GET /healthz, /readyz and /metrics as in every process, plus the fleet-wide metrics; no login. */
export function healthRoutes(fleet: Fleet): Hono {
  const { probes, config } = fleet;
  const source = { probes, metrics: fleetMetrics(fleet), token: config.METRICS_TOKEN };
  const wrongSecret = createAuthThrottle(fleet);
  const app = new Hono();
  app.on('GET', ['/healthz', '/readyz', '/metrics'], async (c) => {
    const answer = await answerHealth(source, c.req.path, c.req.header('authorization'));
    if (!answer) return c.notFound();
    const { body, status, headers } = answer;
    return c.body(body, status === 401 ? wrongSecret(c, 'metrics') : status, headers);
  });
  return app;
}
